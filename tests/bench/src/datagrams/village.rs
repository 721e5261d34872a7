//! Nodes that exist only to stand in the tables of the servers: each has a socket and an id, and answers every question
//! truthfully and at once. While a server is measured it asks them little or nothing.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use dht_core::Key;
use dht_mainline::{
    InfoHash, NodeId,
    compact::{Family, Nodes},
    krpc::{self, Body, Call, Message, Reply},
};
use tokio::net::UdpSocket;

/// The nodes, and the thread that speaks for them.
pub struct Village {
    /// Who lives where.
    pub members: Vec<(NodeId, SocketAddr)>,
    _runtime: tokio::runtime::Runtime,
}

impl Village {
    /// So many nodes, each in a network of its own.
    ///
    /// # Errors
    /// When there are no sockets for them.
    pub fn start(size: u8) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (mut members, mut sockets) = (Vec::new(), Vec::new());
        for i in 1..=size {
            let socket = runtime.block_on(UdpSocket::bind((Ipv4Addr::new(127, 0, i, 1), 0)))?;
            members.push((id(i), socket.local_addr()?));
            sockets.push(socket);
        }
        for (socket, (id, _)) in sockets.into_iter().zip(members.clone()) {
            runtime.spawn(answer(socket, id, members.clone()));
        }
        Ok(Self { members, _runtime: runtime })
    }

    /// Whether somebody of this name lives at this address.
    pub fn has(&self, node: &(NodeId, SocketAddr)) -> bool {
        self.members.contains(node)
    }
}

/// Well spread over the key space, and the same in every run.
fn id(i: u8) -> NodeId {
    let mut bytes = [0; 20];
    let mut state = u32::from(i);
    for byte in &mut bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    bytes[0] = i.wrapping_mul(151);
    NodeId(bytes)
}

async fn answer(socket: UdpSocket, own: NodeId, members: Vec<(NodeId, SocketAddr)>) {
    let (mut buffer, mut out, mut nodes) = (vec![0; 2048], Vec::new(), Vec::new());
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(Message { tid, body: Body::Query(query), .. }) = krpc::decode(&buffer[..length]) else {
            continue;
        };
        let mut reply = Reply::of(own);
        nodes.clear();
        if let Some(target) = target(&query.call) {
            closest(&members, &own, &target).for_each(|(id, addr)| Nodes::push(&mut nodes, id, *addr));
            reply.nodes = Nodes::new(Family::V4, &nodes);
            reply.token = Some(b"none");
        }
        out.clear();
        Message { tid, version: None, ip: Some(from), body: Body::Reply(reply) }.encode(&mut out);
        let _ = socket.send_to(&out, from).await;
    }
}

fn target(call: &Call<'_>) -> Option<Key<20>> {
    match *call {
        Call::FindNode { target } | Call::Get { target, .. } | Call::SampleInfohashes { target } => {
            Some(target)
        }
        Call::GetPeers { info_hash: InfoHash(hash), .. } => Some(Key(hash)),
        _ => None,
    }
}

fn closest<'a>(
    members: &'a [(NodeId, SocketAddr)],
    own: &NodeId,
    target: &Key<20>,
) -> impl Iterator<Item = &'a (NodeId, SocketAddr)> {
    let mut others: Vec<_> = members.iter().filter(|(id, _)| id != own).collect();
    others.sort_by_key(|(id, _)| std::array::from_fn::<u8, 20, _>(|i| id.0[i] ^ target.0[i]));
    others.into_iter().take(8)
}
