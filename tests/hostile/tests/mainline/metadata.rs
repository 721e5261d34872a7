//! Peers that lie about metadata, and peers that hold on to a node that serves it: what is believed has the right hash, and
//! everybody's time and bytes are bounded (SECURITY D17, D18).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use dht::{
    Dht,
    mainline::{Magnet, Mainline, Torrent, metadata::Wanted},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::{client, within};

const PIECE: usize = 16_384;
const UT_METADATA: u8 = 1;

/// An info dictionary of three pieces.
fn torrent() -> Torrent {
    let hashes = [7u8; 40_000];
    let mut info = b"d6:lengthi1000e4:name4:test12:piece lengthi16384e6:pieces40000:".to_vec();
    info.extend_from_slice(&hashes);
    info.push(b'e');
    Torrent::of(info.into()).unwrap()
}

/// A node whose connections end soon.
async fn node(n: u64) -> Dht<Mainline> {
    let quick = client::builder(n).configure(|options| {
        options.tcp.idle_timeout = Duration::from_millis(800);
        options.tcp.rate_window = Duration::from_millis(500);
        options.tcp.deadline = Duration::from_secs(2);
    });
    quick.build().await.unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    /// Pieces of the right size with other bytes.
    OtherBytes,
    /// Pieces of any size but the right one.
    OtherSizes,
    /// One piece again and again, and pieces that nobody asked for.
    EndlessPieces,
    /// Says that the dictionary has 4 GiB, and less than none, and none.
    Size(i64),
    /// An introduction that is nested without end.
    Deep,
    /// An introduction of almost a megabyte, with 60,000 extensions.
    Bomb,
    /// Messages of 4 GiB.
    Huge,
    /// Messages of no bytes, without end.
    KeepAlives,
    /// Another swarm's handshake.
    OtherSwarm,
    /// Says that it is no BitTorrent.
    Http,
    /// One byte, twenty times a second: one a second for who has twenty times the patience.
    Drip,
    /// Takes what is sent and says nothing.
    Mute,
    /// Says no to every piece.
    Reject,
    /// Hangs up.
    HangUp,
}

const LIES: [Lie; 16] = [
    Lie::OtherBytes,
    Lie::OtherSizes,
    Lie::EndlessPieces,
    Lie::Size(1 << 32),
    Lie::Size(-1),
    Lie::Size(0),
    Lie::Deep,
    Lie::Bomb,
    Lie::Huge,
    Lie::KeepAlives,
    Lie::OtherSwarm,
    Lie::Http,
    Lie::Drip,
    Lie::Mute,
    Lie::Reject,
    Lie::HangUp,
];

fn handshake(hash: &[u8]) -> Vec<u8> {
    [&b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x01"[..], hash, &[9; 20]].concat()
}

fn extended(id: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 2).to_be_bytes()[..], &[20, id], payload].concat()
}

fn introduction(size: i64) -> Vec<u8> {
    extended(0, format!("d1:md11:ut_metadatai{UT_METADATA}ee13:metadata_sizei{size}ee").as_bytes())
}

fn piece(index: usize, bytes: &[u8]) -> Vec<u8> {
    let head = format!("d8:msg_typei1e5:piecei{index}e10:total_sizei40064ee");
    extended(UT_METADATA, &[head.as_bytes(), bytes].concat())
}

/// What is said once the fetcher has greeted, and whether it is said without end.
fn said(lie: Lie, torrent: &Torrent) -> (Vec<u8>, bool) {
    let hash = torrent.v1().unwrap().0;
    let size = torrent.info().len() as i64;
    let greeted = |rest: Vec<u8>| [handshake(&hash), rest].concat();
    let known = |rest: Vec<u8>| greeted([introduction(size), rest].concat());
    let last = torrent.info().len() - 2 * PIECE;
    match lie {
        Lie::OtherBytes => {
            (known([piece(0, &[1; PIECE]), piece(1, &[2; PIECE]), piece(2, &vec![3; last])].concat()), false)
        }
        Lie::OtherSizes => {
            (known([piece(0, &[1; PIECE - 1]), piece(2, &[3; PIECE]), piece(1, &[])].concat()), false)
        }
        Lie::EndlessPieces => (known([piece(0, &[1; PIECE]), piece(7, &[1; PIECE])].concat()), true),
        Lie::Size(size) => (greeted(introduction(size)), false),
        Lie::Deep => (greeted(extended(0, &[&b"d1:m"[..], &b"l".repeat(100_000)].concat())), false),
        Lie::Bomb => {
            let many: String = (0..60_000).map(|n| format!("6:{n:06}i{}e", n % 250)).collect();
            (greeted(extended(0, format!("d1:md{many}ee").as_bytes())), false)
        }
        Lie::Huge => (greeted(vec![0xff, 0xff, 0xff, 0xff, 20, 0, b'd']), true),
        Lie::KeepAlives => (known(vec![0; 4096]), true),
        Lie::OtherSwarm => (handshake(&[1; 20]), false),
        Lie::Http => (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".repeat(3), false),
        Lie::Drip => (known(vec![0; 4096]), false),
        Lie::Reject => {
            let no = |n| extended(UT_METADATA, format!("d8:msg_typei2e5:piecei{n}ee").as_bytes());
            (known([no(0), no(1), no(2)].concat()), false)
        }
        Lie::Mute | Lie::HangUp => (Vec::new(), false),
    }
}

/// Where a liar takes connections.
async fn liar(lie: Lie, torrent: &Torrent) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (said, endless) = said(lie, torrent);
    let said = Arc::new(said);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let said = said.clone();
            tokio::spawn(async move {
                let mut greeting = [0; 68];
                if stream.read_exact(&mut greeting).await.is_err() || lie == Lie::HangUp {
                    return;
                }
                let (mut read, mut write) = stream.into_split();
                let listening = tokio::spawn(async move {
                    let mut sink = [0; 4096];
                    while read.read(&mut sink).await.is_ok_and(|length| length > 0) {}
                });
                if lie == Lie::Drip {
                    for byte in said.iter() {
                        if write.write_all(&[*byte]).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                while write.write_all(&said).await.is_ok() && endless {}
                // It does not hang up by itself.
                let _ = listening.await;
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_about_metadata_is_believed_or_waited_for() {
    let _shared = super::QUIET.read().await;
    let (torrent, node) = (torrent(), node(1).await);
    let wanted = Wanted::V1(torrent.v1().unwrap());
    let lies = LIES.map(|lie| async move {
        let torrent = self::torrent();
        (lie, liar(lie, &torrent).await)
    });
    let liars = futures::future::join_all(lies).await;
    let fetches = liars.iter().map(|(lie, addr)| {
        let node = node.clone();
        async move {
            let start = Instant::now();
            let got = within(node.fetch_metadata_from(*addr, wanted)).await;
            println!("{lie:?}: {:?} after {:?}", got.as_ref().err(), start.elapsed());
            assert!(got.is_err(), "{lie:?} was believed");
            // The deadline of a connection is two seconds; the machine may be slow.
            assert!(start.elapsed() < Duration::from_secs(6), "{lie:?}");
        }
    });
    futures::future::join_all(fetches).await;

    // All of them are in the swarm, and one who is honest.
    let honest = self::node(2).await;
    assert!(client::add(&honest, client::contact(&node)).await);
    let place = honest.serve_metadata(&torrent).await.unwrap();
    let named: String = liars.iter().map(|(_, addr)| format!("&x.pe={addr}")).collect();
    let magnet: Magnet =
        format!("magnet:?xt=urn:btih:{}{named}&x.pe={place}", torrent.v1().unwrap()).parse().unwrap();
    let got = within(node.timeout(Duration::from_secs(20)).fetch_metadata(&magnet)).await;
    assert_eq!(got.as_ref(), Ok(torrent.info()));
    futures::join!(node.close_all(), honest.close_all());
}

/// Reads until the other side hangs up; how much it said.
async fn hung_up(stream: &mut TcpStream) -> usize {
    let mut rest = Vec::new();
    let _ = within(stream.read_to_end(&mut rest)).await;
    rest.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_metadata_strangely_is_cut_and_others_are_served() {
    let _shared = super::QUIET.read().await;
    let (torrent, node, other) = (torrent(), node(1).await, node(2).await);
    assert!(client::add(&node, client::contact(&other)).await);
    let place = node.serve_metadata(&torrent).await.unwrap();
    let hash = torrent.v1().unwrap().0;
    let greeting = handshake(&hash);
    let ask = |n: i64| extended(UT_METADATA, format!("d8:msg_typei0e5:piecei{n}ee").as_bytes());
    let connect = async || TcpStream::connect(place).await.unwrap();

    // One byte at a time, for ever: freed at the deadline, which no byte moves.
    let mut slow = connect().await;
    let start = Instant::now();
    let (mut read, mut write) = slow.split();
    let drip = async {
        for byte in greeting.iter().chain(std::iter::repeat(&0)) {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut end = [0; 1];
    tokio::select! {
        _ = within(read.read(&mut end)) => {}
        () = drip => {}
    }
    println!("a dripping peer was cut after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(6));

    // Pieces that are not there, more often than anybody needs them; lengths that no message has; another swarm.
    let strange: Vec<Vec<u8>> = vec![
        [greeting.clone(), introduction(0), [-1, 3, 1 << 32, i64::MIN, i64::MAX].map(ask).concat()].concat(),
        [greeting.clone(), introduction(0), ask(0).repeat(500)].concat(),
        [greeting.clone(), vec![0xff; 4]].concat(),
        [greeting.clone(), extended(0, &b"d1:md".repeat(20_000))].concat(),
        handshake(&[1; 20]),
        b"GET / HTTP/1.1\r\n\r\n".repeat(10),
    ];
    for bytes in strange {
        let mut stream = connect().await;
        // It may hang up before it has taken everything.
        let _ = stream.write_all(&bytes).await;
        let said = hung_up(&mut stream).await;
        println!("{} bytes were answered with {said}", bytes.len());
        // Every piece may be asked for four times, and who asks gets nothing else.
        assert!(said <= 4 * 3 * (PIECE + 100) + 1000, "{said}");
    }
    // A crowd that only connects.
    let crowd = futures::future::join_all((0..200).map(|_| connect())).await;
    let wanted = Wanted::V1(torrent.v1().unwrap());
    let got: Result<Bytes, _> = within(other.fetch_metadata_from(place, wanted)).await;
    assert_eq!(got.as_ref(), Ok(torrent.info()), "beside a crowd of {}", crowd.len());
    for mut stream in crowd {
        assert_eq!(hung_up(&mut stream).await, 0);
    }
    futures::join!(node.close_all(), other.close_all());
}
