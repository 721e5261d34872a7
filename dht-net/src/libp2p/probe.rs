//! The AutoNAT v2 client, made to test again: it is replaced by a new one from time to time.
//!
//! libp2p's client tests an address once, keeps it for ever and never takes a confirmation back. A fresh client that is
//! told of the connections there are knows nothing of earlier tests, so addresses without fresh proof are given to it
//! anew. What comes of older tests is not heard: it refuses their dial-backs, so that servers tell it of failures, which
//! it passes on without asking whose they are. They are told apart by time: it gets the addresses only when no older test
//! can be under way, and until then no failure of theirs is believed.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::client,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished,
    },
};
use tokio::time::{Instant, Sleep, sleep};

use super::{
    observe::{SharedReach, with_reach},
    reach::{Reach, Told},
};

/// How long a client lives before it is given addresses of older tests. libp2p ends a test after 10 s; the rest is for what
/// waits in queues.
const SETTLING: Duration = Duration::from_secs(15);

/// What the prober reports beside the addresses that it confirmed and lost.
pub(super) enum Report {
    /// No address is confirmed, and none is left that may be.
    Unreachable,
    /// What came of one test.
    Tested,
}

/// See the module.
pub(super) struct Prober {
    client: client::Behaviour,
    reach: SharedReach,
    /// Bounded by the connections.
    connections: HashMap<ConnectionId, (PeerId, ConnectedPoint)>,
    /// How long a client lives without addresses from before, and with them.
    phases: (Duration, Duration),
    /// Whether the client is without them now.
    settling: bool,
    turn: Pin<Box<Sleep>>,
}

impl Prober {
    /// `recheck`: how long a proof is good for. Looked at twice in that time.
    pub(super) fn new(reach: SharedReach, recheck: Duration) -> Self {
        let life = recheck / 2;
        // Where proof is good for less than two minutes an older test may be heard.
        let settling = SETTLING.min(life / 4);
        Self {
            client: client::Behaviour::default(),
            reach,
            connections: HashMap::new(),
            phases: (settling, life - settling),
            settling: false,
            turn: Box::pin(sleep(life)),
        }
    }

    fn renew(&mut self) {
        with_reach(&self.reach, Reach::forget_tests);
        self.client = client::Behaviour::default();
        for (connection, (peer, endpoint)) in &self.connections {
            self.client.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id: *peer,
                connection_id: *connection,
                endpoint,
                failed_addresses: &[],
                other_established: 0,
            }));
        }
    }

    /// Has the client test what is due; whether it shows that nothing can be reached.
    fn recheck(&mut self, now: Instant) -> bool {
        let due = with_reach(&self.reach, |reach| reach.recheck(now));
        for addr in due.test {
            let candidate = NewExternalAddrCandidate { addr: &addr };
            self.client.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
        due.unreachable
    }

    /// The next phase of the client's life, or of the next one's; whether it shows that nothing can be reached.
    fn turn(&mut self, now: Instant) -> bool {
        self.settling = !self.settling;
        let (settling, testing) = self.phases;
        self.turn.as_mut().reset(now + if self.settling { settling } else { testing });
        if self.settling {
            self.renew();
            return false;
        }
        self.recheck(now)
    }
}

impl NetworkBehaviour for Prober {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Report;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_outbound_connection(connection, peer, addr, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionEstablished(event) => {
                self.connections.insert(event.connection_id, (event.peer_id, event.endpoint.clone()));
                if let ConnectedPoint::Listener { local_addr, send_back_addr } = event.endpoint {
                    let now = Instant::now();
                    with_reach(&self.reach, |reach| reach.entered(local_addr, send_back_addr, now));
                }
            }
            FromSwarm::ConnectionClosed(event) => {
                self.connections.remove(&event.connection_id);
            }
            _ => {}
        }
        self.client.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.client.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Report, THandlerInEvent<Self>>> {
        if self.turn.as_mut().poll(cx).is_ready() {
            // Has the new sleep register its waker.
            cx.waker().wake_by_ref();
            if self.turn(Instant::now()) {
                return Poll::Ready(ToSwarm::GenerateEvent(Report::Unreachable));
            }
        }
        while let Poll::Ready(output) = self.client.poll(cx) {
            let now = Instant::now();
            match &output {
                ToSwarm::ExternalAddrConfirmed(addr)
                    if !with_reach(&self.reach, |reach| reach.confirm(addr, now)) =>
                {
                    continue;
                }
                ToSwarm::GenerateEvent(event) if event.result.is_err() => {
                    let addr = event.tested_addr.clone();
                    match with_reach(&self.reach, |reach| reach.fail(&addr, now)) {
                        Told::Lost => return Poll::Ready(ToSwarm::ExternalAddrExpired(addr)),
                        Told::Unreachable => {
                            return Poll::Ready(ToSwarm::GenerateEvent(Report::Unreachable));
                        }
                        Told::Nothing => {}
                    }
                }
                _ => {}
            }
            return Poll::Ready(output.map_out(|_| Report::Tested));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{Arc, Mutex},
    };

    use super::{super::Scope, *};

    /// Lets time pass until the client is with or without addresses from before.
    async fn settles(prober: &mut Prober, settling: bool) {
        poll_fn(|cx| {
            let _ = prober.poll(cx);
            if prober.settling == settling { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_older_tests_are_not_believed() {
        let start = Instant::now();
        let recheck = Duration::from_secs(1800);
        let reach = Arc::new(Mutex::new(Reach::new(Scope::Any, recheck)));
        let mut prober = Prober::new(Some(reach.clone()), recheck);
        let addr: Multiaddr = "/ip4/1.1.1.1/tcp/1".parse().unwrap();
        assert!(reach.lock().unwrap().observe(&addr, [8, 8, 8, 8].into(), start));
        assert!(reach.lock().unwrap().confirm(&addr, start));
        let fail = || reach.lock().unwrap().fail(&addr, Instant::now());
        for _ in 0..2 {
            settles(&mut prober, true).await;
            settles(&mut prober, false).await;
        }
        assert_eq!(start.elapsed().as_secs(), 1815, "the proof is old");
        assert_eq!(fail(), Told::Nothing);
        settles(&mut prober, true).await;
        settles(&mut prober, false).await;
        settles(&mut prober, true).await;
        assert_eq!(fail(), Told::Nothing, "the test was under way when the client was replaced");
        settles(&mut prober, false).await;
        assert_eq!(start.elapsed().as_secs(), 3615);
        assert_eq!(fail(), Told::Lost);
    }
}
