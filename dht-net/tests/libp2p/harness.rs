//! Hosts for the tests: one to hold in the hand, one that serves in a task of its own.

use std::{future::Future, time::Duration};

use dht_core::{Contact, Failure, Request, RequestId, Response};
use dht_net::{
    Incoming, Order, ReplyToken, Transport,
    libp2p::{Config, Libp2p, Scope},
};
use dht_protocol::Refusal;
use libp2p::{Multiaddr, PeerId, identity::Keypair, multiaddr::Protocol};
use tokio::sync::{mpsc, oneshot};

use super::dialect::{Addrs, Echoes, Id, Net};

pub type Host = Libp2p<Net, Echoes>;
type Answers = Vec<(ReplyToken, Option<Response<Net>>)>;
type Held = Vec<(ReplyToken, Request<Net>)>;

/// Answers, or refuses.
pub fn reply(host: &mut Host, token: ReplyToken, response: Option<Response<Net>>) {
    match response {
        Some(mut response) => host.reply(token, Ok(&mut response)),
        None => host.reply(token, Err(Refusal::NotAdmitted)),
    }
}

/// A server on the loopback interface.
pub fn config() -> Config {
    Config {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        scope: Scope::Any,
        serve: true,
        autonat: false,
        names: false,
        ..Config::default()
    }
}

pub async fn host(config: Config) -> Host {
    Libp2p::new(Keypair::generate_ed25519(), Echoes, config).await.unwrap()
}

/// Nothing in these tests takes longer, unless it hangs.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it hangs")
}

/// The next answer or failure.
pub async fn outcome(host: &mut Host) -> (RequestId, Result<Response<Net>, Failure>) {
    loop {
        match within(host.next()).await {
            Incoming::Answer { id, response } => return (id, Ok(response)),
            Incoming::Failure { id, why } => return (id, Err(why)),
            _ => {}
        }
    }
}

pub fn contact(peer: PeerId, addr: &Multiaddr) -> Contact<Net> {
    Contact::new(peer.into(), Addrs(vec![addr.clone()]))
}

pub fn echo(request: &Request<Net>) -> Option<Response<Net>> {
    let item = match request {
        Request::Ping => return None,
        Request::FindNode { target } => target,
        Request::Get { query } => query,
        Request::Put { item, .. } => item,
    };
    Some(Response { items: vec![item.clone()], ..Response::default() })
}

enum Command {
    Order(Order<Net>),
    Close(oneshot::Sender<()>),
}

pub struct Server {
    pub peer: Id,
    pub peer_id: PeerId,
    pub addrs: Vec<Multiaddr>,
    events: mpsc::Receiver<Incoming<Net>>,
    commands: mpsc::Sender<Command>,
}

impl Server {
    /// Answers everything with what was asked.
    pub async fn echo(config: Config) -> Self {
        Self::start(config, |_, token, request, _| vec![(token, echo(request))]).await
    }

    /// `serve` says for each request what to answer now, and may hold requests back.
    pub async fn start(
        config: Config,
        mut serve: impl FnMut(&Id, ReplyToken, &Request<Net>, &mut Held) -> Answers + Send + 'static,
    ) -> Self {
        let mut host = host(config).await;
        let (tell, events) = mpsc::channel(4096);
        let (commands, mut orders) = mpsc::channel(16);
        let peer = host.local_peer().clone();
        let server = Self {
            peer_id: PeerId::from_bytes(peer.as_ref()).unwrap(),
            peer,
            addrs: host.listen_addrs(),
            events,
            commands,
        };
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                tokio::select! {
                    incoming = host.next() => match incoming {
                        Incoming::Request { token, from, request, .. } => {
                            for (token, response) in serve(&from.peer, token, &request, &mut held) {
                                reply(&mut host, token, response);
                            }
                        }
                        other => drop(tell.try_send(other)),
                    },
                    command = orders.recv() => match command {
                        Some(Command::Order(order)) => host.order(order),
                        Some(Command::Close(done)) => {
                            host.close().await;
                            let _ = done.send(());
                            break;
                        }
                        None => break,
                    },
                }
            }
        });
        server
    }

    pub fn contact(&self) -> Contact<Net> {
        Contact::new(self.peer.clone(), Addrs(self.addrs.clone()))
    }

    pub fn dial_addr(&self) -> Multiaddr {
        self.addrs[0].clone().with(Protocol::P2p(self.peer_id))
    }

    pub async fn order(&self, order: Order<Net>) {
        self.commands.send(Command::Order(order)).await.unwrap();
    }

    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.commands.send(Command::Close(done)).await.unwrap();
        within(closed).await.unwrap();
    }

    /// Waits for something that is not a request.
    pub async fn until(&mut self, wanted: impl Fn(&Incoming<Net>) -> bool) {
        while !wanted(&within(self.events.recv()).await.unwrap()) {}
    }
}
