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

/// What a stream of ours is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Requests.
    Dht,
    /// A ping for those who asked for one.
    Ask,
    /// A ping that shows whether the connection still lives, and by when it must.
    Alive(Instant),
}

impl Open {
    /// When the patience with the ping ends; one that was asked for is forgotten by those who asked.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Alive(deadline) => Some(deadline),
            Self::Dht | Self::Ask => None,
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
    /// Who waits for the ping that is under way: stock peers answer one at a time.
    asking: Vec<RequestId>,
    /// Who asked meanwhile and shares the next one.
    to_ask: Vec<RequestId>,
    probing: bool,
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
            Task::Ask(Request::Ping) => {
                self.sending.to_ask.push(job.id);
                self.ask_next();
            }
            Task::Ask(_) => self.sending.queue.push_back(job),
        }
    }

    /// Nobody waits for this any more. A stream that nobody waits on is reset, which frees the other side too.
    pub(super) fn forget(&mut self, id: RequestId) {
        let Sending { queue, fresh, asking, to_ask, .. } = &mut self.sending;
        let waiting = queue.len() + fresh.len() + asking.len() + to_ask.len();
        queue.retain(|job| job.id != id);
        fresh.retain(|job| job.id != id);
        asking.retain(|asked| *asked != id);
        to_ask.retain(|asked| *asked != id);
        if queue.len() + fresh.len() + asking.len() + to_ask.len() < waiting {
            if asking.is_empty() {
                self.stop_asking();
            }
            return self.mailbox.done();
        }
        let found = self.slots.iter_mut().find_map(|(slot, channel)| match channel {
            Channel::Out(stream) => match stream.forget(id) {
                (true, wanted) => Some((slot, wanted)),
                (false, _) => None,
            },
            _ => None,
        });
        if let Some((slot, wanted)) = found {
            if !wanted {
                self.slots.remove(slot);
            }
            self.mailbox.done();
        }
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
            Open::Ask if self.sending.asking.is_empty() => self.probing_ended(),
            Open::Ask | Open::Alive(_) => {
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
            return self.ping_ended(what, Err(why));
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

    /// Pings to see whether the connection lives.
    pub(super) fn check(&mut self, now: Instant) {
        self.open(Open::Alive(now + self.hub.config.ping_timeout));
    }

    /// Pings for those who asked, one ping at a time.
    fn ask_next(&mut self) {
        if !self.sending.probing && !self.sending.to_ask.is_empty() {
            self.sending.probing = true;
            self.sending.asking = std::mem::take(&mut self.sending.to_ask);
            self.open(Open::Ask);
        }
    }

    /// Nobody waits for the ping that is under way any more.
    fn stop_asking(&mut self) {
        let asked = |channel: &Channel<O>| matches!(channel, Channel::Probe(_, Open::Ask));
        let slot = self.slots.iter().find(|(_, channel)| asked(channel)).map(|(slot, _)| slot);
        if let Some(slot) = slot {
            self.slots.remove(slot);
            self.probing_ended();
        }
    }

    fn probing_ended(&mut self) {
        self.sending.probing = false;
        self.ask_next();
    }

    /// A ping came to an end (`Pending`: its deadline passed).
    pub(super) fn probed(&mut self, what: Open, result: Poll<io::Result<bool>>, now: Instant) {
        let result = match result {
            Poll::Ready(Ok(true)) => {
                self.heard = now;
                self.mailbox.touch(now);
                Ok(Response::default())
            }
            Poll::Ready(Ok(false)) => Err(Failure::Malformed),
            Poll::Ready(Err(error)) if is_refusal(&error) => Err(Failure::Unsupported),
            Poll::Ready(Err(_)) => Err(Failure::Reset),
            Poll::Pending => Err(Failure::Timeout),
        };
        self.ping_ended(what, result);
    }

    fn ping_ended(&mut self, what: Open, result: Result<Response<O>, Failure>) {
        match what {
            Open::Ask => {
                for id in std::mem::take(&mut self.sending.asking) {
                    self.finish(id, result.clone());
                }
                self.probing_ended();
            }
            // Whoever declines the protocol is alive.
            Open::Alive(_) if !matches!(result, Ok(_) | Err(Failure::Unsupported)) => {
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
        for id in self.sending.asking.drain(..).chain(self.sending.to_ask.drain(..)) {
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
