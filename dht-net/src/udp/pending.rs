//! Questions of strangers that wait for the driver's answer: a ring, so that one that is never answered gives way to later
//! ones and costs nothing more.

use std::net::SocketAddr;

use super::sources::Origin;
use crate::ReplyToken;

/// A question of a stranger.
pub(super) struct Pending<Q> {
    pub(super) from: SocketAddr,
    pub(super) origin: Origin,
    /// Whether the asker answers questions, so that it can be asked for an echo.
    pub(super) serves: bool,
    /// Bytes of the datagram it came in.
    pub(super) length: usize,
    pub(super) question: Q,
}

/// A question and its token.
type Place<Q> = Option<(u64, Pending<Q>)>;

/// The questions that wait.
pub(super) struct Ring<Q> {
    places: Box<[Place<Q>]>,
    next: u64,
}

impl<Q> Ring<Q> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { places: (0..capacity.max(1)).map(|_| None).collect(), next: 0 }
    }

    fn place(&mut self, token: u64) -> &mut Place<Q> {
        let at = token % self.places.len() as u64;
        &mut self.places[at as usize]
    }

    /// Keeps a question; whether the oldest gave way to it.
    pub(super) fn insert(&mut self, pending: Pending<Q>) -> (ReplyToken, bool) {
        let token = self.next;
        self.next += 1;
        let gave_way = self.place(token).replace((token, pending)).is_some();
        (ReplyToken(token), gave_way)
    }

    /// The question that is answered now; `None` when it gave way, or was answered.
    pub(super) fn take(&mut self, token: ReplyToken) -> Option<Pending<Q>> {
        let place = self.place(token.0);
        place.take_if(|(waits, _)| *waits == token.0).map(|(_, pending)| pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(question: u32) -> Pending<u32> {
        let origin = Origin { address: 1, source: 1, network: None };
        Pending { from: ([127, 0, 0, 1], 1).into(), origin, serves: true, length: 1, question }
    }

    #[test]
    fn the_oldest_gives_way_and_a_token_holds_once() {
        let mut ring = Ring::new(4);
        let tokens: Vec<_> = (0..4).map(|n| ring.insert(pending(n))).collect();
        assert!(tokens.iter().all(|(_, gave_way)| !gave_way));
        assert_eq!(ring.take(tokens[1].0).map(|p| p.question), Some(1));
        assert!(ring.take(tokens[1].0).is_none());
        assert!(ring.insert(pending(4)).1);
        assert!(ring.take(tokens[0].0).is_none());
        assert!(!ring.insert(pending(5)).1);
        assert_eq!(ring.take(tokens[3].0).map(|p| p.question), Some(3));
    }
}
