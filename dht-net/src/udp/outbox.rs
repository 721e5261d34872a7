//! Datagrams on their way into the socket, and what its errors mean.
//!
//! Nothing is lost silently: a datagram stays in front until the system took it, or until it is clear that it will not,
//! and then the question it carries fails. A system that has no room, or forbids so many, gets a pause.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use dht_core::{Failure, Mono};
use dht_protocol::TransactionId;

use super::{
    batch::{BATCH, Outgoing},
    rates::Counters,
};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// How often one datagram is tried.
const TRIES: u8 = 8;
/// Buffers that are kept for later.
const SPARE: usize = 4 * BATCH;

pub(super) struct Packet {
    to: SocketAddr,
    bytes: Vec<u8>,
    /// The question that it carries.
    question: Option<TransactionId>,
    tries: u8,
}

impl Outgoing for Packet {
    fn to(&self) -> SocketAddr {
        self.to
    }
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// How far the outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Empty.
    All,
    /// The socket is full.
    Blocked,
    /// Nothing goes out until then.
    Paused(Mono),
}

/// The datagrams that wait for the socket.
pub(super) struct Outbox {
    packets: VecDeque<Packet>,
    spare: Vec<Vec<u8>>,
    max: usize,
    max_pause: Duration,
    pause: Duration,
    paused_until: Option<Mono>,
}

impl Outbox {
    pub(super) fn new(max: usize, max_pause: Duration) -> Self {
        Self {
            packets: VecDeque::with_capacity(BATCH),
            spare: Vec::with_capacity(SPARE),
            max,
            max_pause,
            pause: Duration::ZERO,
            paused_until: None,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.packets.len() < self.max
    }

    /// An empty buffer; it comes back with [`Outbox::push`] or [`Outbox::recycle`].
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn recycle(&mut self, mut bytes: Vec<u8>) {
        if self.spare.len() < SPARE {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    /// Whether there was room.
    pub(super) fn push(&mut self, to: SocketAddr, question: Option<TransactionId>, bytes: Vec<u8>) -> bool {
        let fits = self.has_room();
        if fits {
            self.packets.push_back(Packet { to, bytes, question, tries: 0 });
        } else {
            self.recycle(bytes);
        }
        fits
    }

    /// Sends what `send` takes. Questions whose datagrams cannot be sent are appended to `failed`.
    pub(super) fn flush(
        &mut self,
        now: Mono,
        counters: &Counters,
        failed: &mut Vec<(TransactionId, Failure)>,
        mut send: impl FnMut(&[Packet]) -> io::Result<usize>,
    ) -> Flushed {
        loop {
            if let Some(until) = self.paused_until.filter(|until| *until > now && !self.packets.is_empty()) {
                return Flushed::Paused(until);
            }
            self.paused_until = None;
            if self.packets.is_empty() {
                return Flushed::All;
            }
            let (front, back) = self.packets.as_slices();
            match send(if front.is_empty() { back } else { front }) {
                Ok(sent) => self.sent(sent, counters),
                Err(error) => match Meaning::of(&error) {
                    Meaning::Blocked => return Flushed::Blocked,
                    meaning => self.refused(now, meaning, counters, failed),
                },
            }
        }
    }

    fn sent(&mut self, sent: usize, counters: &Counters) {
        self.pause = Duration::ZERO;
        counters.sent.add(sent);
        for _ in 0..sent {
            let Some(packet) = self.packets.pop_front() else { return };
            counters.sent_bytes.add(packet.bytes.len());
            self.recycle(packet.bytes);
        }
    }

    /// The first datagram was not taken.
    fn refused(
        &mut self,
        now: Mono,
        meaning: Meaning,
        counters: &Counters,
        failed: &mut Vec<(TransactionId, Failure)>,
    ) {
        let Some(first) = self.packets.front_mut() else { return };
        first.tries += 1;
        let failure = match meaning {
            Meaning::Busy => {
                counters.backoffs.add(1);
                let patient = first.tries < TRIES && (self.pause < self.max_pause || first.tries < 2);
                self.pause = (self.pause * 2).clamp(FIRST_PAUSE.min(self.max_pause), self.max_pause);
                self.paused_until = Some(now + self.pause);
                if patient {
                    return;
                }
                Failure::Offline
            }
            // About another datagram, or nothing: this one is tried again.
            Meaning::Passing if first.tries < TRIES => return,
            Meaning::Offline => {
                counters.offline.add(1);
                Failure::Offline
            }
            _ => {
                counters.errors.add(1);
                Failure::Unreachable
            }
        };
        if let Some(packet) = self.packets.pop_front() {
            match packet.question {
                Some(question) => failed.push((question, failure)),
                None => counters.unsent.add(1),
            }
            self.recycle(packet.bytes);
        }
    }
}

/// What an error of the socket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Wait for the socket.
    Blocked,
    /// The system has no room, or a firewall counts: later.
    Busy,
    /// About an earlier datagram (an ICMP message), or an interrupted call.
    Passing,
    /// This node has no way to the network.
    Offline,
    /// This datagram cannot go there.
    Impossible,
}

#[cfg(windows)]
const NO_BUFFERS: i32 = 10055;
#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_BUFFERS: i32 = 105;
/// The BSDs, macOS among them.
#[cfg(not(any(windows, target_os = "linux", target_os = "android")))]
const NO_BUFFERS: i32 = 55;

impl Meaning {
    pub(super) fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::WouldBlock => Self::Blocked,
            Kind::PermissionDenied | Kind::OutOfMemory => Self::Busy,
            Kind::Interrupted | Kind::ConnectionRefused | Kind::ConnectionReset => Self::Passing,
            Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
                Self::Offline
            }
            _ if error.raw_os_error() == Some(NO_BUFFERS) => Self::Busy,
            _ => Self::Impossible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TID: TransactionId = [1, 2, 3, 4];

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    fn outbox(questions: u8) -> Outbox {
        let mut outbox = Outbox::new(16, Duration::from_millis(80));
        for n in 0..questions {
            assert!(outbox.push(([127, 0, 0, 1], 9).into(), Some([n, 2, 3, 4]), vec![n; 10]));
        }
        outbox
    }

    fn busy() -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(NO_BUFFERS))
    }

    #[test]
    fn a_busy_system_gets_pauses_that_double_and_nothing_is_lost() {
        let (mut outbox, counters, mut failed) = (outbox(3), Counters::default(), Vec::new());
        let mut flush = |ms, result: fn() -> io::Result<usize>| {
            outbox.flush(at(ms), &counters, &mut failed, |_| result())
        };
        assert_eq!(flush(0, busy), Flushed::Paused(at(5)));
        assert_eq!(flush(4, || panic!("it pauses")), Flushed::Paused(at(5)));
        assert_eq!(flush(5, busy), Flushed::Paused(at(15)));
        assert_eq!(flush(15, || Err(io::ErrorKind::PermissionDenied.into())), Flushed::Paused(at(35)));
        assert_eq!(flush(35, || Ok(1)), Flushed::All);
        // The next pause is short again.
        outbox.push(([127, 0, 0, 1], 9).into(), None, vec![1]);
        assert_eq!(outbox.flush(at(36), &counters, &mut failed, |_| busy()), Flushed::Paused(at(41)));
        assert_eq!(failed, []);
    }

    #[test]
    fn a_datagram_that_is_never_permitted_gives_way() {
        let (mut outbox, counters, mut failed) = (outbox(2), Counters::default(), Vec::new());
        let mut now = at(0);
        let mut rounds = 0;
        while let Flushed::Paused(until) = outbox.flush(now, &counters, &mut failed, |_| busy()) {
            now = until;
            rounds += 1;
            assert!(rounds < 20);
        }
        assert_eq!(failed, [([0, 2, 3, 4], Failure::Offline), ([1, 2, 3, 4], Failure::Offline)]);
        assert!(now <= at(600), "{now:?}");
    }

    #[test]
    fn each_error_has_its_failure() {
        for (kind, failure) in [
            (io::ErrorKind::NetworkUnreachable, Failure::Offline),
            (io::ErrorKind::HostUnreachable, Failure::Offline),
            (io::ErrorKind::NetworkDown, Failure::Offline),
            (io::ErrorKind::AddrNotAvailable, Failure::Offline),
            (io::ErrorKind::InvalidInput, Failure::Unreachable),
            (io::ErrorKind::ConnectionRefused, Failure::Unreachable),
        ] {
            let (mut outbox, counters, mut failed) = (outbox(0), Counters::default(), Vec::new());
            outbox.push(([127, 0, 0, 1], 9).into(), Some(TID), vec![1]);
            assert_eq!(outbox.flush(at(0), &counters, &mut failed, |_| Err(kind.into())), Flushed::All);
            assert_eq!(failed, [(TID, failure)], "{kind}");
        }
    }

    #[test]
    fn an_error_about_another_datagram_costs_nothing_and_a_full_socket_is_waited_for() {
        let (mut outbox, counters, mut failed) = (outbox(2), Counters::default(), Vec::new());
        let mut results =
            vec![Err(io::ErrorKind::WouldBlock.into()), Ok(1), Err(io::ErrorKind::Interrupted.into())];
        let mut send = |_: &[Packet]| results.pop().unwrap();
        assert_eq!(outbox.flush(at(0), &counters, &mut failed, &mut send), Flushed::Blocked);
        assert_eq!((outbox.packets.len(), failed.len()), (1, 0));
    }

    #[test]
    fn beyond_its_bound_it_takes_nothing() {
        let mut outbox = outbox(16);
        assert!(!outbox.has_room());
        assert!(!outbox.push(([127, 0, 0, 1], 9).into(), None, vec![1]));
    }
}
