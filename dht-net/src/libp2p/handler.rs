//! One connection: its DHT streams in both directions and its pings.
//!
//! The handler is polled in the connection's own task, where the bytes are; requests and answers go to the driver's task
//! without passing through the swarm. What it sends lies in `sending`.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use dht_protocol::StreamCodec;
use libp2p::{
    Stream, StreamProtocol,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol,
        handler::{ConnectionEvent, ProtocolsChange},
    },
};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Config, HostOverlay,
    budget::Charge,
    frame::FrameReader,
    hub::{Allowance, Event, Hub},
    inbound::{Inbound, Surroundings, earlier},
    mailbox::{Letters, Mailbox, Return},
    outbound::Outbound,
    ping::{Echo, Probe},
    sending::{Open, Sending},
    slots::Slots,
    upgrade::{Negotiation, Purpose},
    waiting::Waiting,
};

/// Ping streams that one connection may have open with us; stock libp2p needs one.
const MAX_ECHOES: usize = 2;

/// What a handler tells the behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The peer serves our protocol from now on, or no longer.
    Serves(bool),
    /// A ping stayed unanswered.
    Dead,
}

/// A stream of the connection.
pub(super) enum Channel<O: HostOverlay> {
    In(Inbound<O>),
    Out(Outbound<O>),
    Echo(Echo),
    Probe(Probe, Open),
}

impl<O: HostOverlay> Channel<O> {
    /// When it has to be looked at although nothing comes.
    fn deadline(&self, config: &Config) -> Option<Instant> {
        match self {
            Self::In(stream) => stream.deadline(config),
            Self::Out(stream) => stream.deadline(config),
            Self::Echo(echo) => Some(echo.touched + config.inbound_idle),
            Self::Probe(_, open) => open.deadline(),
        }
    }
}

pub(super) type Output = ConnectionHandlerEvent<Negotiation, Open, Notice>;

/// See the module.
pub(super) struct Handler<O: HostOverlay, C: StreamCodec<O>> {
    pub(super) hub: Arc<Hub<O, C>>,
    pub(super) mailbox: Arc<Mailbox<O>>,
    pub(super) protocols: Arc<[StreamProtocol]>,
    pub(super) slots: Slots<Channel<O>>,
    waiting: Waiting<Stream>,
    pub(super) sending: Sending<O>,
    pub(super) output: VecDeque<Output>,
    allowance: Allowance,
    letters: Letters<O>,
    serving: bool,
    remote_serves: bool,
    /// Numbers the requests that are read here.
    numbers: u64,
    echoes: usize,
    /// When the peer was last heard of on one of our streams.
    pub(super) heard: Instant,
    /// The earliest moment at which something may have to be done; never later than the truth.
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<O: HostOverlay, C: StreamCodec<O>> Handler<O, C> {
    pub(super) fn new(
        hub: Arc<Hub<O, C>>,
        mailbox: Arc<Mailbox<O>>,
        protocols: Arc<[StreamProtocol]>,
        allowance: Allowance,
    ) -> Self {
        Self {
            serving: hub.serves(),
            hub,
            heard: mailbox.since,
            mailbox,
            protocols,
            slots: Slots::default(),
            waiting: Waiting::default(),
            sending: Sending::default(),
            output: VecDeque::new(),
            allowance,
            letters: Letters::default(),
            remote_serves: false,
            numbers: 0,
            echoes: 0,
            due: None,
            timer: None,
        }
    }

    fn bytes(&self) -> Charge {
        self.allowance.bytes.charge()
    }

    pub(super) fn reader(&self) -> FrameReader {
        FrameReader::new(self.hub.codec.max_frame(), self.bytes())
    }

    fn read_mail(&mut self, now: Instant) {
        if !self.mailbox.take(&mut self.letters) {
            return;
        }
        let mut letters = std::mem::take(&mut self.letters);
        for reply in letters.replies.drain(..) {
            if let Some(Channel::In(stream)) = self.slots.get_mut(reply.stream) {
                stream.answer(reply.number, reply.response);
                self.slots.mark(reply.stream);
                self.mailbox.touch(now);
            }
        }
        for job in letters.jobs.drain(..) {
            self.queue(job);
        }
        for id in letters.forgets.drain(..) {
            self.forget(id);
        }
        // A busy connection keeps its buffers, an idle one holds next to nothing.
        if self.slots.is_empty() && self.sending.is_idle() {
            letters = Letters::default();
        }
        self.letters = letters;
    }

    /// A client refuses new streams by negotiation; those that were open are reset.
    fn check_mode(&mut self) {
        let serves = self.hub.serves();
        if self.serving && !serves {
            self.waiting.clear();
            let inbound = self.slots.iter().filter(|(_, channel)| matches!(channel, Channel::In(_)));
            for slot in inbound.map(|(slot, _)| slot).collect::<Vec<_>>() {
                self.slots.remove(slot);
            }
        }
        self.serving = serves;
    }

    fn run_slots(&mut self, now: Instant) {
        while let Some(slot) = self.slots.next_ready() {
            self.run_slot(slot, now);
            let config = &self.hub.config;
            let deadline = self.slots.get_mut(slot).and_then(|channel| channel.deadline(config));
            self.due = earlier(self.due, deadline);
        }
    }

    fn run_slot(&mut self, slot: usize, now: Instant) {
        let Some((channel, waker)) = self.slots.with_waker(slot) else { return };
        let mut cx = Context::from_waker(waker);
        let config = &self.hub.config;
        match channel {
            Channel::In(stream) => {
                let (hub, mailbox, heard) = (&self.hub, &self.mailbox, &mut self.heard);
                let mut accept = |number, request| {
                    *heard = now;
                    let taken = hub.requests.take(1, config.inbound_requests);
                    let back = Return { mailbox: mailbox.clone(), stream: slot, number };
                    let told = taken && hub.emit(Event::Request(back, request));
                    if taken && !told {
                        hub.requests.give(1);
                    }
                    told
                };
                let mut around = Surroundings {
                    codec: &hub.codec,
                    config,
                    peer: &mailbox.peer,
                    now,
                    accept: &mut accept,
                    charge: &|| self.allowance.bytes.charge(),
                    numbers: &mut self.numbers,
                };
                if stream.poll(&mut cx, &mut around).is_ready() {
                    self.slots.remove(slot);
                }
            }
            Channel::Out(stream) => {
                let (hub, mailbox, heard) = (&self.hub, &self.mailbox, &mut self.heard);
                let mut answer = |id, response| {
                    *heard = now;
                    mailbox.done();
                    mailbox.touch(now);
                    hub.emit(Event::Answer(id, response));
                };
                if let Poll::Ready(ended) = stream.poll(&mut cx, &hub.codec, config, now, &mut answer) {
                    self.slots.remove(slot);
                    self.stream_ended(ended);
                }
            }
            Channel::Echo(echo) => {
                let late = echo.touched + config.inbound_idle <= now;
                if late || echo.poll(&mut cx, now).is_ready() {
                    self.slots.remove(slot);
                    self.echoes -= 1;
                } else if echo.touched == now {
                    self.heard = now;
                }
            }
            Channel::Probe(probe, open) => {
                let late = open.deadline().is_some_and(|deadline| deadline <= now);
                let result = probe.poll(&mut cx);
                if late || result.is_ready() {
                    let open = *open;
                    self.slots.remove(slot);
                    self.probed(open, result, now);
                }
            }
        }
    }

    fn accepted(&mut self, purpose: Purpose, stream: Stream) {
        let now = Instant::now();
        // Dropping a stream resets it.
        match purpose {
            Purpose::Dht if self.hub.serves() => {
                self.waiting.push(stream, self.bytes(), now + self.hub.config.message_timeout);
                self.admit(now);
            }
            Purpose::Dht => {}
            Purpose::Ping => {
                let echo = Channel::Echo(Echo::new(stream, now));
                if self.echoes < MAX_ECHOES && self.slots.insert(echo).is_ok() {
                    self.echoes += 1;
                }
            }
        }
    }

    /// Serves streams that wait, as far as there is room; `true` when there was.
    fn admit(&mut self, now: Instant) -> bool {
        self.waiting.expire(now);
        let mut admitted = false;
        while !self.waiting.is_empty() {
            let mut place = self.allowance.streams.charge();
            if !place.set(1) {
                break;
            }
            let Some(stream) = self.waiting.pop() else { break };
            let stream = Inbound::new(stream, self.reader(), place, now);
            // No free slot: dropped, as the peer holds them all.
            admitted |= self.slots.insert(Channel::In(stream)).is_ok();
        }
        self.due = earlier(self.due, self.waiting.due(now));
        admitted
    }

    /// Sees to deadlines; `true` when something became ready by that.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let kept = self.mailbox.is_protected() || !self.slots.is_empty();
        let config = &self.hub.config;
        if kept {
            self.due = earlier(self.due, Some(self.heard + config.ping_interval));
        }
        let Some(due) = self.due else { return false };
        if due <= now {
            self.due = None;
            for (slot, channel) in self.slots.iter() {
                let deadline = channel.deadline(config);
                if deadline.is_some_and(|deadline| deadline <= now) {
                    self.slots.mark(slot);
                } else {
                    self.due = earlier(self.due, deadline);
                }
            }
            if kept && self.heard + config.ping_interval <= now {
                // Measured from here on, whether the ping is answered or the connection ends by it.
                self.heard = now;
                self.check(now);
            }
            return true;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due || timer.is_elapsed() {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

impl<O: HostOverlay, C: StreamCodec<O>> ConnectionHandler for Handler<O, C> {
    type FromBehaviour = Infallible;
    type ToBehaviour = Notice;
    type InboundProtocol = Negotiation;
    type OutboundProtocol = Negotiation;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Open;

    fn listen_protocol(&self) -> SubstreamProtocol<Negotiation> {
        let dht = self.hub.serves().then(|| self.protocols.clone());
        SubstreamProtocol::new(Negotiation::accept(dht), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.mailbox.is_protected() || !self.sending.is_idle()
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        if let Some(output) = self.output.pop_front() {
            return Poll::Ready(output);
        }
        self.mailbox.register(cx.waker());
        self.slots.register(cx.waker());
        loop {
            let now = Instant::now();
            self.read_mail(now);
            self.check_mode();
            self.run_slots(now);
            while self.admit(now) {
                self.run_slots(now);
            }
            let sent = self.send();
            if let Some(output) = self.output.pop_front() {
                return Poll::Ready(output);
            }
            if !sent && !self.poll_timer(cx, now) {
                return Poll::Pending;
            }
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Negotiation, Negotiation, (), Open>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(opened) => {
                let (purpose, stream) = opened.protocol;
                self.accepted(purpose, stream);
            }
            ConnectionEvent::FullyNegotiatedOutbound(opened) => {
                let (_, stream) = opened.protocol;
                self.opened(opened.info, stream);
            }
            ConnectionEvent::DialUpgradeError(failed) => self.not_opened(failed.info, &failed.error),
            ConnectionEvent::RemoteProtocolsChange(change) => {
                let (names, on) = match change {
                    ProtocolsChange::Added(names) => (names.cloned().collect::<Vec<_>>(), true),
                    ProtocolsChange::Removed(names) => (names.cloned().collect(), false),
                };
                if names.iter().any(|name| self.protocols.contains(name)) && self.remote_serves != on {
                    self.remote_serves = on;
                    self.output.push_back(ConnectionHandlerEvent::NotifyBehaviour(Notice::Serves(on)));
                }
            }
            _ => {}
        }
    }
}

impl<O: HostOverlay, C: StreamCodec<O>> Drop for Handler<O, C> {
    fn drop(&mut self) {
        self.abandon();
    }
}
