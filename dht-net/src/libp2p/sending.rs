//! What a connection's handler sends: which stream a request goes on, what happens when a stream dies, pings.

use std::{collections::VecDeque, io, task::Poll};

use derive_where::derive_where;
use dht_core::{Failure, Overlay, Request, RequestId, Response};
use dht_protocol::StreamCodec;
use libp2p::{
    Stream,
    swarm::{ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol},
};
use tokio::time::Instant;

use super::{
    HostOverlay,
    handler::{Channel, Handler, Notice},
    hub::Event,
    mailbox::{Job, Task},
    outbound::{Ended, Outbound, is_refusal},
    ping::Probe,
    upgrade::{Negotiation, Purpose},
};

/// Reused streams that died unread, after which streams are not reused on this connection.
const MAX_FAULTS: u8 = 3;
/// Pings of one connection that are under way at the same time.
const MAX_PROBES: usize = 8;

/// What a stream of ours is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Requests.
    Dht,
    /// A ping that was asked for.
    Ask(RequestId),
    /// A ping that shows whether the connection still lives, and by when it must.
    Alive(Instant),
}

impl Open {
    /// When the patience with the ping ends; one that was asked for is forgotten by those who asked.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Alive(deadline) => Some(deadline),
            Self::Dht | Self::Ask(_) => None,
        }
    }
}

/// Requests that are not on a stream yet. Together with those on streams at most `requests_per_peer`.
#[derive_where(Debug, Default)]
pub(super) struct Sending<O: Overlay> {
    queue: VecDeque<Job<O>>,
    /// To be sent once more, each as the first one of a fresh stream.
    fresh: VecDeque<Job<O>>,
    /// Streams being opened.
    opening: usize,
    /// Pings being opened or under way.
    probes: Vec<RequestId>,
    faults: u8,
}

impl<O: Overlay> Sending<O> {
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.fresh.is_empty()
    }
}

impl<O: HostOverlay, C: StreamCodec<O>> Handler<O, C> {
    fn finish(&self, id: RequestId, result: Result<Response<O>, Failure>) {
        self.mailbox.done();
        self.hub.emit(match result {
            Ok(response) => Event::Answer(id, response),
            Err(why) => Event::Failure(id, why),
        });
    }

    pub(super) fn queue(&mut self, job: Job<O>) {
        match job.task {
            Task::Connect => self.finish(job.id, Ok(Response::default())),
            Task::Ask(Request::Ping) if self.sending.probes.len() >= MAX_PROBES => {
                self.finish(job.id, Err(Failure::Overloaded));
            }
            Task::Ask(Request::Ping) => self.probe(Some(job.id), Instant::now()),
            Task::Ask(_) => self.sending.queue.push_back(job),
        }
    }

    /// Nobody waits for this any more. A stream that nobody waits on is reset, which frees the other side too.
    pub(super) fn forget(&mut self, id: RequestId) {
        let waiting = self.sending.queue.len() + self.sending.fresh.len();
        self.sending.queue.retain(|job| job.id != id);
        self.sending.fresh.retain(|job| job.id != id);
        if self.sending.queue.len() + self.sending.fresh.len() < waiting {
            return self.mailbox.done();
        }
        let found = self.slots.iter_mut().find_map(|(slot, channel)| match channel {
            Channel::Out(stream) => match stream.forget(id) {
                (true, wanted) => Some((slot, wanted)),
                (false, _) => None,
            },
            Channel::Probe(_, Open::Ask(asked)) if *asked == id => Some((slot, false)),
            _ => None,
        });
        if let Some((slot, wanted)) = found {
            if !wanted {
                self.slots.remove(slot);
            }
            self.mailbox.done();
        } else if self.sending.probes.contains(&id) {
            self.mailbox.done();
        }
        self.sending.probes.retain(|probe| *probe != id);
    }

    /// Puts requests on streams, or has streams opened; `true` when a stream has something to write by that.
    pub(super) fn send(&mut self) -> bool {
        let pipeline = self.hub.config.pipeline;
        let once = self.sending.faults >= MAX_FAULTS;
        let most = self.hub.config.streams_per_connection * if once { pipeline } else { 1 };
        let mut sent = false;
        while !self.sending.is_idle() {
            let open = self.slots.iter().filter_map(|(slot, channel)| match channel {
                Channel::Out(stream) => Some((slot, stream)),
                _ => None,
            });
            let (mut streams, mut best) = (0, None);
            for (slot, stream) in open {
                streams += 1;
                if stream.is_open() && best.is_none_or(|(_, load)| stream.load() < load) {
                    best = Some((slot, stream.load()));
                }
            }
            let Sending { queue, fresh, opening, .. } = &self.sending;
            let waiting = queue.len() + fresh.len();
            let idle = best.is_some_and(|(_, load)| load == 0) && !queue.is_empty();
            if !idle && *opening < waiting && streams + opening < most {
                self.open(Open::Dht);
                continue;
            }
            // Streams that are being opened are left to those that wait for them.
            let surplus = idle || waiting > *opening;
            match best {
                Some((slot, load)) if surplus && load < pipeline => {
                    let Some(job) = self.sending.queue.pop_front() else { break };
                    self.put(slot, job);
                    sent = true;
                }
                _ => break,
            }
        }
        sent
    }

    fn put(&mut self, slot: usize, job: Job<O>) {
        let once = self.sending.faults >= MAX_FAULTS;
        let Task::Ask(request) = job.task else { return };
        if let Some(Channel::Out(stream)) = self.slots.get_mut(slot) {
            stream.ask(&self.hub.codec, job.id, request, job.retried);
            if once {
                stream.close();
            }
            self.slots.mark(slot);
        }
    }

    fn open(&mut self, what: Open) {
        let purpose = if what == Open::Dht { Purpose::Dht } else { Purpose::Ping };
        if what == Open::Dht {
            self.sending.opening += 1;
        }
        let protocol = SubstreamProtocol::new(Negotiation::open(purpose, &self.protocols), what);
        self.output.push_back(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
    }

    pub(super) fn opened(&mut self, what: Open, stream: Stream) {
        let now = Instant::now();
        match what {
            Open::Dht => {
                self.sending.opening = self.sending.opening.saturating_sub(1);
                let stream = Channel::Out(Outbound::new(stream, self.reader(), now));
                let Ok(slot) = self.slots.insert(stream) else { return };
                if let Some(job) = self.sending.fresh.pop_front() {
                    self.put(slot, job);
                }
            }
            // Forgotten while it was being opened.
            Open::Ask(id) if !self.sending.probes.contains(&id) => {}
            Open::Ask(_) | Open::Alive(_) => {
                if self.slots.insert(Channel::Probe(Probe::new(stream), what)).is_err() {
                    self.probed(what, Poll::Ready(Err(io::ErrorKind::OutOfMemory.into())), now);
                }
            }
        }
    }

    pub(super) fn not_opened<E>(&mut self, what: Open, error: &StreamUpgradeError<E>) {
        let why = match error {
            StreamUpgradeError::Timeout => Failure::Timeout,
            StreamUpgradeError::NegotiationFailed => Failure::Unsupported,
            StreamUpgradeError::Apply(_) | StreamUpgradeError::Io(_) => Failure::Reset,
        };
        if what != Open::Dht {
            return self.ping_failed(what, why);
        }
        self.sending.opening = self.sending.opening.saturating_sub(1);
        let lost = if why == Failure::Unsupported { usize::MAX } else { 1 };
        for _ in 0..lost {
            let next = self.sending.fresh.pop_front().or_else(|| self.sending.queue.pop_front());
            let Some(job) = next else { break };
            self.finish(job.id, Err(why));
        }
    }

    /// A stream ended: what was under way fails or is tried again.
    pub(super) fn stream_ended(&mut self, ended: Ended<O>) {
        let Ended { flights, why, retry_first } = ended;
        if retry_first && flights.front().is_some_and(|flight| flight.again) {
            self.sending.faults = self.sending.faults.saturating_add(1);
        }
        let mut first = true;
        for flight in flights {
            let again = flight.again && (!first || retry_first);
            let why = if first || why == Failure::Unsupported { why } else { Failure::Reset };
            first = false;
            let Some(id) = flight.id else { continue };
            if again {
                self.sending.fresh.push_back(Job { id, task: Task::Ask(flight.request), retried: true });
            } else {
                self.finish(id, Err(why));
            }
        }
    }

    /// Opens a ping: one that was asked for, or one that tells whether the connection lives.
    pub(super) fn probe(&mut self, asked: Option<RequestId>, now: Instant) {
        let what = match asked {
            Some(id) => {
                self.sending.probes.push(id);
                Open::Ask(id)
            }
            None => Open::Alive(now + self.hub.config.ping_timeout),
        };
        self.open(what);
    }

    /// A ping came to an end (`Pending`: its deadline passed).
    pub(super) fn probed(&mut self, what: Open, result: Poll<io::Result<bool>>, now: Instant) {
        match result {
            Poll::Ready(Ok(true)) => {
                self.heard = now;
                if let Open::Ask(id) = what {
                    self.sending.probes.retain(|probe| *probe != id);
                    self.mailbox.touch(now);
                    self.finish(id, Ok(Response::default()));
                }
            }
            Poll::Ready(Ok(false)) => self.ping_failed(what, Failure::Malformed),
            Poll::Ready(Err(error)) if is_refusal(&error) => self.ping_failed(what, Failure::Unsupported),
            Poll::Ready(Err(_)) => self.ping_failed(what, Failure::Reset),
            Poll::Pending => self.ping_failed(what, Failure::Timeout),
        }
    }

    fn ping_failed(&mut self, what: Open, why: Failure) {
        match what {
            Open::Ask(id) => {
                if self.sending.probes.contains(&id) {
                    self.sending.probes.retain(|probe| *probe != id);
                    self.finish(id, Err(why));
                }
            }
            // Whoever declines the protocol is alive.
            Open::Alive(_) if why != Failure::Unsupported => {
                self.output.push_back(ConnectionHandlerEvent::NotifyBehaviour(Notice::Dead));
            }
            Open::Alive(_) | Open::Dht => {}
        }
    }

    /// The connection has ended: nothing that waited on it is left without an outcome.
    pub(super) fn abandon(&mut self) {
        let peer = self.mailbox.peer.clone();
        for job in self.mailbox.close() {
            self.hub.again(&peer, job);
        }
        let waiting = self.sending.queue.drain(..).chain(self.sending.fresh.drain(..));
        for job in waiting {
            self.hub.again(&peer, job);
        }
        for id in std::mem::take(&mut self.sending.probes) {
            self.hub.emit(Event::Failure(id, Failure::Reset));
        }
        let streams: Vec<usize> = self.slots.iter().map(|(slot, _)| slot).collect();
        for slot in streams {
            let Some(Channel::Out(stream)) = self.slots.remove(slot) else { continue };
            for flight in stream.into_flights() {
                let Some(id) = flight.id else { continue };
                let job = Job { id, task: Task::Ask(flight.request), retried: !flight.again };
                self.hub.again(&peer, job);
            }
        }
    }
}
