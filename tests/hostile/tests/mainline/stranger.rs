//! Somebody with a socket, and the messages that it may send.

use std::net::{Ipv4Addr, SocketAddr};

use dht::{
    Contact,
    core::Key,
    mainline::{
        Endpoint, InfoHash, Mainline, NodeId,
        krpc::{self, Body, Call, Message, Query, Reply, Want},
    },
};
use tokio::net::UdpSocket;

use super::within;

/// A deterministic id for each number.
pub fn id(n: u32) -> NodeId {
    let mut id = [0x5a; 20];
    id[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b1).to_be_bytes());
    NodeId(id)
}

/// The swarm that everybody asks for.
pub const SWARM: InfoHash = InfoHash([0x33; 20]);
pub const TARGET: Key<20> = Key(SWARM.0);

pub struct Stranger {
    pub socket: UdpSocket,
    pub addr: SocketAddr,
    pub id: NodeId,
}

impl Stranger {
    pub async fn at(ip: impl Into<Ipv4Addr>, n: u32) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((ip.into(), 0))).await.unwrap();
        Self { addr: socket.local_addr().unwrap(), socket, id: id(n) }
    }

    pub fn contact(&self) -> Contact<Mainline> {
        Contact::new(self.id, Endpoint::from(self.addr))
    }

    pub async fn send(&self, to: SocketAddr, bytes: &[u8]) {
        assert_eq!(self.socket.send_to(bytes, to).await.unwrap(), bytes.len());
    }

    pub async fn hear(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 4096];
        let (length, from) = within(self.socket.recv_from(&mut buffer)).await.unwrap();
        (buffer[..length].to_vec(), from)
    }

    /// Everything that has arrived.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 4096];
        let mut all = Vec::new();
        while let Ok(length) = self.socket.try_recv(&mut buffer) {
            all.push(buffer[..length].to_vec());
        }
        all
    }

    /// The answers among everything that has arrived.
    pub fn answers(&self) -> Vec<Vec<u8>> {
        let mut all = self.heard();
        all.retain(|bytes| !is_question(&krpc::decode(bytes).unwrap()));
        all
    }

    /// A question that says that its asker answers questions.
    pub fn question(&self, tid: u32, call: Call<'_>) -> Vec<u8> {
        question(self.id, tid, false, call)
    }

    /// The answer to a question of its own; what else arrives meanwhile is thrown away.
    pub async fn answer_to(&self, tid: u32) -> Vec<u8> {
        loop {
            let (bytes, _) = self.hear().await;
            if krpc::decode(&bytes).is_ok_and(|m| m.tid == tid.to_be_bytes() && !is_question(&m)) {
                return bytes;
            }
        }
    }
}

pub fn is_question(message: &Message<'_>) -> bool {
    matches!(message.body, Body::Query(_))
}

pub fn question(id: NodeId, tid: u32, read_only: bool, call: Call<'_>) -> Vec<u8> {
    let body = Body::Query(Query { id, read_only, want: Want::default(), echo: None, call });
    let mut out = Vec::new();
    Message { tid: &tid.to_be_bytes(), version: None, ip: None, body }.encode(&mut out);
    out
}

pub fn get_peers() -> Call<'static> {
    Call::GetPeers { info_hash: SWARM, scrape: false, noseed: false }
}

pub fn reply(tid: &[u8], reply: Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Message { tid, version: None, ip: None, body: Body::Reply(reply) }.encode(&mut out);
    out
}

/// The number of a refusal.
pub fn refusal(bytes: &[u8]) -> Option<u32> {
    match krpc::decode(bytes).unwrap().body {
        Body::Reject(reject) => Some(reject.code),
        _ => None,
    }
}

pub fn token(bytes: &[u8]) -> Option<Vec<u8>> {
    match krpc::decode(bytes).unwrap().body {
        Body::Reply(reply) => reply.token.map(<[u8]>::to_vec),
        _ => None,
    }
}
