//! The dialect, and strangers that speak it on plain sockets.

use std::{
    future::poll_fn,
    net::{Ipv4Addr, SocketAddr},
    task::Poll,
    time::Duration,
};

use dht_core::{
    Contact, Failure, Mono, Overlay, Request, RequestId, Response,
    testing::{TinyItem, TinyQuery, TinyTicketed},
};
use dht_net::{
    Incoming, Order, Transport,
    udp::{Config, Udp},
};
use dht_protocol::{Datagram, DatagramCodec, Malformed, Refusal, Room, TransactionId, Unread};
use tokio::{net::UdpSocket, sync::RwLock, time::timeout};

pub type Net = TinyTicketed;
pub type Tiny = Udp<Net, TinyCodec>;

/// Tests that count what the heap gives want nobody beside them.
pub static QUIET: RwLock<()> = RwLock::const_new(());

/// Bytes of an item in an answer; eight of them are more than an unproven address gets.
pub const ITEM: usize = 100;
/// In answers that withhold something.
pub const TICKET: u8 = 5;
const CLOSER: usize = 26;
const HEAD: usize = 9;

/// `kind tid peer …`, where `kind` is `q`, `a`, `w` (an answer that withholds), `e` (an error) or `!` (what is to be rejected).
///
/// A question goes on with `serves ticket method argument argument`, an answer with the port it sees, how many contacts and
/// how many items, and those.
pub struct TinyCodec {
    pub peer: u8,
    pub read_only: bool,
    pub renamed: bool,
}

impl TinyCodec {
    pub fn new(peer: u8) -> Self {
        Self { peer, read_only: false, renamed: true }
    }
}

/// The question, as a stranger writes it.
pub fn question(tid: u32, peer: u8, serves: bool, ticket: bool, method: &[u8]) -> Vec<u8> {
    let mut out = vec![b'q'];
    out.extend(tid.to_be_bytes());
    out.extend([peer, u8::from(serves), u8::from(ticket)]);
    out.extend(method);
    pad(&mut out);
    out
}

/// As long as a question of a real dialect is.
fn pad(question: &mut Vec<u8>) {
    question.resize(if question[8] == PING[0] { 58 } else { 94 }, 0);
}

pub const PING: &[u8] = &[0, 0, 0];
pub const FIND: &[u8] = &[1, 5, 0];
pub const GET: &[u8] = &[2, 5, 0];

impl DatagramCodec<Net> for TinyCodec {
    type Question = TransactionId;

    fn max_datagram(&self) -> usize {
        2048
    }
    fn socket_addr(&self, addr: &u16) -> Option<SocketAddr> {
        (*addr != 0).then(|| (Ipv4Addr::LOCALHOST, *addr).into())
    }
    fn addr(&self, addr: SocketAddr) -> u16 {
        addr.port()
    }
    fn local(&self) -> u8 {
        self.peer
    }
    fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    fn encode_request_again(
        &self,
        tid: TransactionId,
        to: SocketAddr,
        request: &Request<Net>,
        ticket: &u8,
        out: &mut Vec<u8>,
    ) {
        self.encode_request(tid, to, request, out);
        out[7] = *ticket;
    }

    fn encode_request(&self, tid: TransactionId, _: SocketAddr, request: &Request<Net>, out: &mut Vec<u8>) {
        let method = match request {
            Request::Ping => [0, 0, 0],
            Request::FindNode { target } => [1, *target, 0],
            Request::Get { query } => [2, Net::target_of(query), 0],
            Request::Put { query, item, .. } => [3, Net::target_of(query), item.version],
        };
        out.push(b'q');
        out.extend(tid);
        out.extend([self.peer, u8::from(!self.read_only), 0]);
        out.extend(method);
        pad(out);
    }

    fn decode<'a>(
        &self,
        _: Mono,
        _: SocketAddr,
        datagram: &[u8],
        asked: &dyn Fn(TransactionId) -> Option<&'a Request<Net>>,
        out: &mut Vec<u8>,
    ) -> Result<Datagram<Net, TransactionId>, Unread> {
        let malformed = Malformed("too short");
        let [kind, tid @ .., peer] = *datagram.first_chunk::<6>().ok_or(Unread::Silent(malformed.clone()))?;
        let rest = &datagram[6..];
        match (kind, rest) {
            (b'q', [serves, ticket, method, first, second, ..]) => {
                let request = match method {
                    0 => Request::Ping,
                    1 => Request::FindNode { target: *first },
                    2 => Request::Get { query: TinyQuery::Value(*first) },
                    _ => Request::Put {
                        query: TinyQuery::Value(*first),
                        item: TinyItem::value(*second),
                        ticket: None,
                    },
                };
                let (serves, proven) = (*serves != 0, *ticket != 0);
                Ok(Datagram::Request { peer, serves, proven, request, question: tid })
            }
            (b'a' | b'w', [high, low, closer, items, rest @ ..]) => {
                asked(tid).ok_or(Unread::Stray)?;
                let mut response = Response::default();
                let (contacts, values) =
                    rest.split_at_checked(usize::from(*closer) * CLOSER).unwrap_or_default();
                for contact in contacts.chunks(CLOSER) {
                    response.closer.push(Contact::new(contact[0], 1));
                }
                for value in values.chunks(ITEM).take(usize::from(*items)) {
                    response.items.push(TinyItem::value(value[0]));
                }
                let seen = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::from_be_bytes([*high, *low])));
                let withheld = kind == b'w';
                response.ticket = withheld.then_some(TICKET);
                Ok(Datagram::Answer {
                    tid,
                    peer: Some(peer),
                    result: Ok(response),
                    seen: Some(seen),
                    withheld,
                })
            }
            (b'e', [code, ..]) => {
                asked(tid).ok_or(Unread::Stray)?;
                let result = Err(Failure::Refused(u32::from(*code)));
                Ok(Datagram::Answer { tid, peer: None, result, seen: None, withheld: false })
            }
            (b'!', _) => {
                out.extend(b"e0000no");
                Err(Unread::Rejected(malformed))
            }
            _ => Err(Unread::Silent(malformed)),
        }
    }

    fn encode_answer(
        &self,
        to: SocketAddr,
        tid: &TransactionId,
        answer: Result<&Response<Net>, Refusal>,
        room: Room,
        out: &mut Vec<u8>,
    ) {
        let Ok(response) = answer else {
            out.push(b'e');
            out.extend(tid);
            out.extend([self.peer, 7]);
            return;
        };
        let Some(left) = room.bytes.checked_sub(HEAD + 1) else { return };
        let items = if room.stored { response.items.len().min(left / ITEM) } else { 0 };
        let closer = response.closer.len().min((left - items * ITEM) / CLOSER);
        out.push(b'a');
        out.extend(tid);
        out.push(self.peer);
        out.extend(to.port().to_be_bytes());
        out.extend([closer as u8, items as u8]);
        for contact in &response.closer[..closer] {
            out.extend([contact.peer; CLOSER]);
        }
        for item in &response.items[..items] {
            out.extend([item.version; ITEM]);
        }
    }

    fn sighted(&mut self, _: SocketAddr, us: SocketAddr) -> Option<Contact<Net>> {
        let news = !std::mem::replace(&mut self.renamed, true);
        news.then(|| {
            self.peer = self.peer.wrapping_add(1);
            Contact::new(self.peer, us.port())
        })
    }
}

/// A transport on a free port, past its introduction.
pub async fn node(peer: u8, config: Config) -> Tiny {
    let mut udp = bind(TinyCodec::new(peer), config);
    let port = udp.local_addr().port();
    assert_eq!(next(&mut udp).await, Incoming::Local(Contact::new(peer, port)));
    assert_eq!(next(&mut udp).await, Incoming::Reachable(Some(true)));
    udp
}

/// … that serves.
pub async fn server(peer: u8, config: Config) -> Tiny {
    let mut udp = node(peer, config).await;
    udp.order(Order::Serve(true));
    udp
}

pub fn bind(codec: TinyCodec, config: Config) -> Tiny {
    Udp::bind((Ipv4Addr::LOCALHOST, 0).into(), codec, config, 7).unwrap()
}

pub async fn next(udp: &mut Tiny) -> Incoming<Net> {
    let next = poll_fn(|cx| udp.poll_next(cx));
    timeout(Duration::from_secs(20), next).await.expect("something happens")
}

/// What happens next at one transport while another serves; the requests it gets are appended to `requests`.
pub async fn next_beside(
    udp: &mut Tiny,
    other: &mut Tiny,
    requests: &mut Vec<Incoming<Net>>,
) -> Incoming<Net> {
    let next = poll_fn(|cx| {
        while let Poll::Ready(incoming) = other.poll_next(cx) {
            if let Incoming::Request { token, .. } = incoming {
                other.reply(token, Ok(&mut rich()));
            }
            requests.push(incoming);
        }
        udp.poll_next(cx)
    });
    timeout(Duration::from_secs(20), next).await.expect("something happens")
}

/// What is ready without waiting for anybody; what waits to be sent goes out.
pub async fn poll(udp: &mut Tiny) -> Option<Incoming<Net>> {
    poll_fn(|cx| match udp.poll_next(cx) {
        Poll::Ready(incoming) => Poll::Ready(Some(incoming)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Answers what is ready.
pub async fn answer_all(udp: &mut Tiny) {
    while let Some(incoming) = poll(udp).await {
        if let Incoming::Request { token, .. } = incoming {
            udp.reply(token, Ok(&mut rich()));
        }
    }
}

/// An answer with more than an unproven address gets.
pub fn rich() -> Response<Net> {
    Response {
        closer: (0..8).map(|n| Contact::new(n, 1)).collect(),
        items: (1..=8).map(TinyItem::value).collect(),
        ticket: None,
    }
}

/// The same without anything that is stored.
pub fn plain() -> Response<Net> {
    Response { items: Vec::new(), ..rich() }
}

/// The next request, answered with [`rich`]; whatever else happens is returned.
pub async fn serve_one(udp: &mut Tiny) -> Request<Net> {
    loop {
        if let Incoming::Request { token, request, .. } = next(udp).await {
            udp.reply(token, Ok(&mut rich()));
            return request;
        }
    }
}

/// A socket without a transport.
pub struct Stranger(pub UdpSocket);

impl Stranger {
    pub async fn at(ip: [u8; 4]) -> Self {
        Self(UdpSocket::bind(SocketAddr::from((ip, 0))).await.unwrap())
    }

    pub async fn new() -> Self {
        Self::at([127, 0, 0, 1]).await
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub async fn send(&self, to: &Tiny, bytes: &[u8]) {
        self.0.send_to(bytes, to.local_addr()).await.unwrap();
    }

    /// The next datagram, while the transport runs.
    pub async fn hear(&self, udp: &mut Tiny) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        let heard = async {
            loop {
                tokio::select! {
                    biased;
                    heard = self.0.recv_from(&mut buffer) => return heard.unwrap().0,
                    incoming = poll_fn(|cx| udp.poll_next(cx)) => {
                        if let Incoming::Request { token, .. } = incoming {
                            udp.reply(token, Ok(&mut rich()));
                        }
                    }
                }
            }
        };
        let len = timeout(Duration::from_secs(20), heard).await.expect("a datagram comes");
        buffer.truncate(len);
        buffer
    }

    /// The transaction id of the next question.
    pub async fn asked(&self, udp: &mut Tiny) -> TransactionId {
        let heard = self.hear(udp).await;
        assert_eq!(heard[0], b'q');
        heard[1..5].try_into().unwrap()
    }
}

/// A stranger's answer without anything in it.
pub fn blank(tid: TransactionId, peer: u8) -> Vec<u8> {
    let mut out = vec![b'a'];
    out.extend(tid);
    out.extend([peer, 0, 9, 0, 0]);
    out
}

pub fn items(answer: &[u8]) -> u8 {
    assert_eq!(answer[0], b'a', "{answer:?}");
    answer[HEAD]
}

pub fn id(n: u64) -> RequestId {
    RequestId(n)
}
