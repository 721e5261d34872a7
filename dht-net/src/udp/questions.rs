//! Questions of ours: from the driver's request until it is answered or forgotten. Those that may not go out yet wait in
//! their order.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};

use dht_core::{
    Overlay, Request, RequestId, Rng,
    rand_core::{Rng as _, SeedableRng},
};
use dht_protocol::TransactionId;

/// Datagrams that are read beyond the limits from a place that was asked, for each question that waits there.
const GLANCES: u32 = 8;

/// What a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A request of the driver.
    Ask(RequestId),
    /// Who is there?
    Greet(RequestId),
    /// An echo, of which the driver knows nothing.
    Challenge,
}

impl Purpose {
    fn id(self) -> Option<RequestId> {
        match self {
            Self::Ask(id) | Self::Greet(id) => Some(id),
            Self::Challenge => None,
        }
    }
}

/// A question that waits for its answer.
pub(super) struct Question<O: Overlay> {
    pub(super) to: SocketAddr,
    /// Who is expected there.
    pub(super) peer: Option<O::PeerId>,
    pub(super) request: Request<O>,
    pub(super) purpose: Purpose,
    /// A ticket of the asked one that is shown, because it withheld something from who had none.
    pub(super) ticket: Option<O::Ticket>,
    /// Whether it still waits for its turn.
    queued: bool,
}

#[derive(Clone, Copy, Default)]
struct Asked {
    questions: u32,
    glances: u32,
}

/// The questions that wait.
pub(super) struct Questions<O: Overlay> {
    by_tid: HashMap<TransactionId, Question<O>>,
    by_id: HashMap<RequestId, TransactionId>,
    /// The places that answers are expected from.
    places: HashMap<SocketAddr, Asked>,
    queue: VecDeque<TransactionId>,
    max: usize,
    max_queued: usize,
    rng: Rng,
}

impl<O: Overlay> Questions<O> {
    pub(super) fn new(max: usize, max_queued: usize, seed: u64) -> Self {
        Self {
            by_tid: HashMap::new(),
            by_id: HashMap::new(),
            places: HashMap::new(),
            queue: VecDeque::new(),
            max,
            max_queued,
            rng: Rng::seed_from_u64(seed),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_tid.len()
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Queues a question; whether its bound leaves room.
    pub(super) fn ask(
        &mut self,
        to: SocketAddr,
        peer: Option<O::PeerId>,
        request: Request<O>,
        purpose: Purpose,
    ) -> bool {
        // An id that is used again takes the place of the earlier one.
        if let Some(id) = purpose.id() {
            self.forget(id);
        }
        if !self.has_room() {
            return false;
        }
        let tid = self.insert(Question { to, peer, request, purpose, ticket: None, queued: true });
        self.queue.push_back(tid);
        true
    }

    /// Whether one more question may wait for its turn.
    pub(super) fn has_room(&self) -> bool {
        self.by_tid.len() < self.max && self.queue.len() < self.max_queued
    }

    /// Queues a question that was answered once more, with the ticket of its answer.
    pub(super) fn ask_again(&mut self, question: Question<O>, ticket: O::Ticket) {
        let tid = self.insert(Question { ticket: Some(ticket), queued: true, ..question });
        self.queue.push_back(tid);
    }

    /// A question that goes out at once and only proves that there is somebody. Whoever asks for it bounds how many.
    pub(super) fn challenge(&mut self, to: SocketAddr) -> TransactionId {
        let purpose = Purpose::Challenge;
        self.insert(Question { to, peer: None, request: Request::Ping, purpose, ticket: None, queued: false })
    }

    fn insert(&mut self, question: Question<O>) -> TransactionId {
        let place = self.places.entry(question.to).or_default();
        place.questions += 1;
        place.glances = place.glances.saturating_add(GLANCES);
        // Far fewer are under way than there are names.
        let tid = loop {
            let tid = self.rng.next_u32().to_be_bytes();
            if !self.by_tid.contains_key(&tid) {
                break tid;
            }
        };
        if let Some(id) = question.purpose.id() {
            self.by_id.insert(id, tid);
        }
        self.by_tid.insert(tid, question);
        tid
    }

    /// Whether a datagram from there is read beyond the limits: it may be an answer.
    pub(super) fn glance(&mut self, from: SocketAddr) -> bool {
        let place = self.places.get_mut(&from).filter(|place| place.glances > 0);
        place.map(|place| place.glances -= 1).is_some()
    }

    /// What was asked of this place under this name.
    pub(super) fn request(&self, tid: TransactionId, from: SocketAddr) -> Option<&Request<O>> {
        self.by_tid
            .get(&tid)
            .filter(|question| question.to == from && !question.queued)
            .map(|question| &question.request)
    }

    /// The question that an answer from there answers; it no longer waits.
    pub(super) fn answered(&mut self, tid: TransactionId, from: SocketAddr) -> Option<Question<O>> {
        self.request(tid, from)?;
        self.remove(tid)
    }

    /// A question that no longer waits, for whatever reason.
    pub(super) fn remove(&mut self, tid: TransactionId) -> Option<Question<O>> {
        let question = self.by_tid.remove(&tid)?;
        if let Some(id) = question.purpose.id() {
            self.by_id.remove(&id);
        }
        if let Some(place) = self.places.get_mut(&question.to) {
            place.questions -= 1;
            if place.questions == 0 {
                self.places.remove(&question.to);
            }
        }
        if question.queued {
            self.queue.retain(|queued| *queued != tid);
        }
        Some(question)
    }

    /// Nobody waits for this any more.
    pub(super) fn forget(&mut self, id: RequestId) {
        if let Some(tid) = self.by_id.get(&id).copied() {
            self.remove(tid);
        }
    }

    /// The question whose turn it is.
    pub(super) fn next(&self) -> Option<(TransactionId, &Question<O>)> {
        let tid = *self.queue.front()?;
        self.by_tid.get(&tid).map(|question| (tid, question))
    }

    /// It goes out.
    pub(super) fn depart(&mut self) {
        let departing = self.queue.pop_front().and_then(|tid| self.by_tid.get_mut(&tid));
        if let Some(question) = departing {
            question.queued = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use dht_core::testing::Tiny;

    use super::*;

    fn place(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn ask(questions: &mut Questions<Tiny>, id: u64, port: u16) -> bool {
        questions.ask(place(port), Some(1), Request::Ping, Purpose::Ask(RequestId(id)))
    }

    fn depart(questions: &mut Questions<Tiny>) -> TransactionId {
        let tid = questions.next().unwrap().0;
        questions.depart();
        tid
    }

    #[test]
    fn only_the_place_that_was_asked_can_answer_and_only_once() {
        let mut questions = Questions::new(8, 8, 1);
        assert!(ask(&mut questions, 1, 10));
        let tid = questions.next().unwrap().0;
        assert!(questions.answered(tid, place(10)).is_none(), "it was not asked yet");
        questions.depart();
        assert!(questions.answered(tid, place(11)).is_none());
        assert!(questions.answered([0; 4], place(10)).is_none());
        assert_eq!(questions.answered(tid, place(10)).map(|q| q.purpose), Some(Purpose::Ask(RequestId(1))));
        assert!(questions.answered(tid, place(10)).is_none());
        assert_eq!((questions.len(), questions.places.len(), questions.by_id.len()), (0, 0, 0));
    }

    #[test]
    fn turns_come_in_order_and_bounds_hold() {
        let mut questions = Questions::new(4, 3, 1);
        assert!((1..=3).all(|id| ask(&mut questions, id, 10)));
        assert!(!ask(&mut questions, 4, 10), "three wait");
        questions.forget(RequestId(2));
        assert_eq!(questions.queued(), 2);
        depart(&mut questions);
        let (_, next) = questions.next().unwrap();
        assert_eq!(next.purpose, Purpose::Ask(RequestId(3)));
        assert!(ask(&mut questions, 5, 10) && ask(&mut questions, 6, 10));
        assert!(!ask(&mut questions, 7, 10), "four are under way");
        assert!(ask(&mut questions, 6, 11));
        assert_eq!(questions.len(), 4);
        (1..8).for_each(|id| questions.forget(RequestId(id)));
        assert_eq!((questions.len(), questions.queued(), questions.places.len()), (0, 0, 0));
    }

    #[test]
    fn a_place_that_was_asked_is_read_beyond_the_limits_but_not_for_ever() {
        let mut questions = Questions::new(4, 4, 1);
        assert!(!questions.glance(place(10)));
        ask(&mut questions, 1, 10);
        let glances = (0..100).filter(|_| questions.glance(place(10))).count();
        assert_eq!(glances, GLANCES as usize);
        questions.forget(RequestId(1));
        assert!(!questions.glance(place(10)));
    }
}
