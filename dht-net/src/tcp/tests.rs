use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{Instant, sleep},
};

use super::{
    talk::{Traffic, Unsent, end, talk},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

/// Asks for so many bytes and wants them.
struct Ask {
    want: u32,
    got: u32,
    out: Vec<u8>,
    bye: Vec<u8>,
}

impl Ask {
    fn new(want: u32) -> Self {
        Self { want, got: 0, out: want.to_be_bytes().to_vec(), bye: Vec::new() }
    }
}

impl Conversation for Ask {
    type Output = u32;

    fn receive(&mut self, bytes: &[u8]) {
        self.got += bytes.len() as u32;
        if self.got >= self.want {
            self.out.append(&mut self.bye);
        }
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn result(&mut self) -> Option<u32> {
        (self.got >= self.want).then_some(self.got)
    }
}

/// Gives as many bytes as each four bytes say. Counts what it put out.
#[derive(Default)]
struct Give {
    kept: Vec<u8>,
    out: Vec<u8>,
    put_out: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Conversation for Give {
    type Output = ();

    fn receive(&mut self, bytes: &[u8]) {
        self.heard.lock().unwrap().extend_from_slice(bytes);
        self.kept.extend_from_slice(bytes);
        while let Some((want, rest)) = self.kept.split_first_chunk::<4>() {
            let want = u32::from_be_bytes(*want) as usize;
            self.out.resize(self.out.len() + want, 7);
            self.put_out.fetch_add(want, Relaxed);
            self.kept = rest.to_vec();
        }
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn result(&mut self) -> Option<()> {
        None
    }
}

fn local() -> Config {
    Config { local: true, ..Config::default() }
}

async fn over<C: Conversation>(
    stream: &mut DuplexStream,
    mut conversation: C,
    config: &Config,
    buffer: usize,
) -> Result<C::Output, ConnectionError> {
    let mut unsent = Unsent::default();
    talk(stream, &mut conversation, &mut unsent, (config, buffer), &Traffic::default()).await
}

#[tokio::test(start_paused = true)]
async fn two_conversations_talk_through_a_narrow_pipe() {
    let (mut one, mut other) = duplex(100);
    let config = Config::default();
    let (asked, gave) = tokio::join!(
        async {
            let asked = over(&mut one, Ask::new(1 << 20), &config, 16 << 10).await;
            drop(one);
            asked
        },
        over(&mut other, Give::default(), &config, 256)
    );
    assert_eq!(asked, Ok(1 << 20));
    assert!(matches!(gave, Err(ConnectionError::Ended | ConnectionError::Reset)), "{gave:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_cut_when_idle() {
    let (mut one, _other) = duplex(100);
    let start = Instant::now();
    let result = over(&mut one, Ask::new(10), &Config::default(), 256).await;
    assert_eq!((result, start.elapsed()), (Err(ConnectionError::Idle), 10 * SECOND));
}

/// A peer that writes `bytes` every second; what became of it, and when.
async fn trickle(bytes: usize, config: Config) -> (Result<u32, ConnectionError>, Duration) {
    let (mut one, mut other) = duplex(1 << 16);
    let start = Instant::now();
    let writer = tokio::spawn(async move {
        loop {
            sleep(SECOND).await;
            if other.write_all(&vec![1; bytes]).await.is_err() {
                break;
            }
        }
    });
    let result = over(&mut one, Ask::new(10_000), &config, 256).await;
    let took = start.elapsed();
    drop(one);
    writer.await.unwrap();
    (result, took)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_a_byte_a_second_is_cut() {
    let slow = Err(ConnectionError::Slow);
    // The first byte comes after a second, the window is ten.
    assert_eq!(trickle(1, Config::default()).await, (slow, 11 * SECOND));
    let (result, took) = trickle(100, Config::default()).await;
    assert_eq!((result, took), (slow, 11 * SECOND));
    let short = Config { rate_window: 3 * SECOND, ..Config::default() };
    assert_eq!(trickle(1, short).await, (slow, 4 * SECOND));
    let any = Config { min_rate: 0, ..Config::default() };
    assert_eq!(trickle(1, any).await, (Err(ConnectionError::Deadline), 60 * SECOND));
    // Fast enough, and done in time.
    assert_eq!(trickle(200, Config::default()).await, (Ok(10_000), 50 * SECOND));
    // Fast enough, and too much to do.
    let short = Config { deadline: 20 * SECOND, ..Config::default() };
    assert_eq!(trickle(200, short).await, (Err(ConnectionError::Deadline), 20 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_read_from_a_peer_that_does_not_read() {
    let (mut one, mut other) = duplex(1 << 20);
    let config = Config { max_unsent: 2000, ..Config::default() };
    let give = Give::default();
    let put_out = give.put_out.clone();
    // 10,000 requests for 1,000 bytes each, of which the pipe takes 2^20.
    other.write_all(&1000_u32.to_be_bytes().repeat(10_000)).await.unwrap();
    let start = Instant::now();
    let result = over(&mut one, give, &config, 64).await;
    assert_eq!((result, start.elapsed()), (Err(ConnectionError::Idle), 10 * SECOND));
    // What the pipe took, the limit, and what one read called for.
    let most = (1 << 20) + 2000 + 64 / 4 * 1000;
    assert!((1 << 20..=most).contains(&put_out.load(Relaxed)), "{}", put_out.load(Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_a_byte_a_second_is_cut() {
    let (mut one, mut other) = duplex(64);
    other.write_all(&10_000_u32.to_be_bytes()).await.unwrap();
    let reader = tokio::spawn(async move {
        let mut heard = 0;
        while other.read_u8().await.is_ok() {
            heard += 1;
            sleep(SECOND).await;
        }
        heard
    });
    let start = Instant::now();
    let result = over(&mut one, Give::default(), &Config::default(), 256).await;
    assert_eq!((result, start.elapsed()), (Err(ConnectionError::Slow), 10 * SECOND));
    drop(one);
    assert!(reader.await.unwrap() < 100);
}

#[tokio::test(start_paused = true)]
async fn who_sends_no_more_still_gets_the_answer() {
    let (mut one, mut other) = duplex(64);
    let asking = async {
        other.write_all(&5000_u32.to_be_bytes()).await.unwrap();
        other.shutdown().await.unwrap();
        let mut answer = Vec::new();
        while answer.len() < 5000 {
            other.read_buf(&mut answer).await.unwrap();
        }
    };
    let config = Config::default();
    let (result, ()) = tokio::join!(over(&mut one, Give::default(), &config, 256), asking);
    assert_eq!(result, Err(ConnectionError::Ended));
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_break_counts() {
    // The peer gave everything and left; our next word breaks, and we have what we wanted.
    let (mut one, mut other) = duplex(1 << 16);
    other.write_all(&[1; 9000]).await.unwrap();
    drop(other);
    assert_eq!(over(&mut one, Ask::new(9000), &Config::default(), 256).await, Ok(9000));
    let (mut one, other) = duplex(1 << 16);
    drop(other);
    assert_eq!(over(&mut one, Ask::new(1), &Config::default(), 256).await, Err(ConnectionError::Reset));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_short_whatever_the_peer_does() {
    let (one, mut other) = duplex(64);
    let start = Instant::now();
    end(one, Unsent::default(), SECOND / 2).await;
    assert_eq!(start.elapsed(), SECOND / 2);
    assert_eq!(other.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    // One that never stops talking is not heard for long either.
    let (one, mut other) = duplex(1024);
    let (written, ()) = tokio::join!(
        async {
            let mut written = 0;
            while other.write_all(&[0; 1024]).await.is_ok() {
                written += 1024;
            }
            written
        },
        end(one, Unsent::default(), SECOND)
    );
    assert!(written <= 80 << 10, "{written}");
}

/// A server on a thread: `serve` gets every connection.
fn server(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    addr
}

/// Closes so that the peer sees a reset.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < 10 * SECOND, "{what}");
        sleep(Duration::from_millis(2)).await;
    }
}

fn pool(config: Config) -> Pool {
    Pool::new(config).unwrap()
}

fn gives() -> Make<Give> {
    Arc::new(|_| Some(Give::default()))
}

#[tokio::test]
async fn a_pool_serves_and_fetches_in_both_families() {
    let pool = pool(local());
    let four = pool.listen("127.0.0.1:0".parse().unwrap(), gives()).unwrap();
    assert_eq!(pool.connect(four.local_addr(), Ask::new(100_000)).await, Ok(100_000));
    // The same port of the other family is another listener; a machine may be without it.
    let wildcard = SocketAddr::new("::".parse().unwrap(), four.local_addr().port());
    if let Ok(six) = pool.listen(wildcard, gives()) {
        let addr = SocketAddr::new("::1".parse().unwrap(), six.local_addr().port());
        assert_eq!(pool.connect(addr, Ask::new(10)).await, Ok(10));
    }
    until("everybody leaves", || pool.statistics().inbound + pool.statistics().outbound == 0).await;
    let moved = pool.statistics();
    assert!(moved.received >= 100_004 && moved.sent >= 100_004 && moved.refused == 0, "{moved:?}");
    let taken = pool.listen(four.local_addr(), gives()).unwrap_err();
    let kind = std::io::ErrorKind::AddrInUse;
    assert_eq!(taken, ListenError::Bind { addr: four.local_addr(), kind });
}

#[tokio::test]
async fn what_is_left_to_say_is_said_and_heard() {
    let pool = pool(local());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let shared = heard.clone();
    let make: Make<Give> = Arc::new(move |_| Some(Give { heard: shared.clone(), ..Give::default() }));
    let listener = pool.listen("127.0.0.1:0".parse().unwrap(), make).unwrap();
    let bye = [0; 4000].to_vec();
    let ask = Ask { bye, ..Ask::new(10) };
    assert_eq!(pool.connect(listener.local_addr(), ask).await, Ok(10));
    until("the last words arrive", || heard.lock().unwrap().len() == 4004).await;
}

#[tokio::test]
async fn nobody_there_is_told_apart() {
    let pool = pool(local());
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = pool.connect(gone, Ask::new(1)).await;
    assert_eq!(refused, Err(ConnectionError::Dial(std::io::ErrorKind::ConnectionRefused)));
    for text in
        ["127.0.0.1:0", "0.0.0.0:1", "[::]:1", "224.0.0.1:1", "255.255.255.255:1", "[::ffff:0.0.0.0]:1"]
    {
        let addr = text.parse().unwrap();
        assert_eq!(pool.connect(addr, Ask::new(1)).await, Err(ConnectionError::Address(addr)));
    }
    let public = super::Pool::new(Config::default()).unwrap();
    for text in ["127.0.0.1:80", "192.168.0.1:80", "[::1]:80", "[::ffff:10.0.0.1]:80", "[fe80::1]:80"] {
        let addr = text.parse().unwrap();
        assert_eq!(public.connect(addr, Ask::new(1)).await, Err(ConnectionError::Address(addr)));
    }
    assert_eq!(pool.statistics(), Statistics::default());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_that_does_not_accept_is_left_in_time() {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let pool = pool(Config { dial_timeout: Duration::from_millis(300), ..local() });
    let mut dials = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let pool = pool.clone();
        dials.spawn(async move { pool.connect(addr, Ask::new(1)).await });
    }
    // One or two fit before the listener; the others are never let in.
    let mut timeouts = 0;
    while timeouts < 2 {
        assert_eq!(dials.join_next().await.unwrap().unwrap(), Err(ConnectionError::DialTimeout));
        timeouts += 1;
    }
}

#[tokio::test]
async fn a_reset_at_any_step_is_a_reset() {
    // Bytes read from us and bytes given to us before the connection is reset.
    for (read, give) in [(0, 0), (1, 0), (4, 0), (4, 1), (4, 99)] {
        let addr = server(move |mut stream| {
            stream.read_exact(&mut vec![0; read]).unwrap();
            stream.write_all(&vec![0; give]).unwrap();
            reset(stream);
        });
        let pool = pool(local());
        assert_eq!(pool.connect(addr, Ask::new(100)).await, Err(ConnectionError::Reset), "{read} {give}");
        until("its place is free", || pool.statistics().outbound == 0).await;
    }
}

#[tokio::test]
async fn an_end_before_the_end_is_told() {
    let addr = server(|mut stream| {
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(&[0; 50]).unwrap();
    });
    assert_eq!(pool(local()).connect(addr, Ask::new(100)).await, Err(ConnectionError::Ended));
}

#[tokio::test]
async fn writing_to_a_peer_that_left_is_an_error_and_not_the_end_of_the_program() {
    // Rust programs ignore SIGPIPE, and its sockets do not ask for it: the write fails instead.
    let addr = server(drop);
    let pool = pool(local());
    for _ in 0..50 {
        let ask = Ask { out: vec![0; 8 << 20], ..Ask::new(1) };
        let why = pool.connect(addr, ask).await.unwrap_err();
        assert!(matches!(why, ConnectionError::Reset | ConnectionError::Ended), "{why:?}");
    }
}

#[tokio::test]
async fn who_is_cut_off_sees_a_reset() {
    let pool = pool(Config { idle_timeout: Duration::from_millis(50), ..local() });
    let listener = pool.listen("127.0.0.1:0".parse().unwrap(), gives()).unwrap();
    let mut stream = tokio::net::TcpStream::connect(listener.local_addr()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn bounds_are_told_at_once_and_hold() {
    let addr = server(|mut stream| drop(thread::spawn(move || stream.read_to_end(&mut Vec::new()))));
    let pool = pool(Config { max_outbound: 3, ..local() });
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let pool = pool.clone();
        held.spawn(async move { pool.connect(addr, Ask::new(1)).await });
    }
    until("three are there", || pool.statistics().outbound == 3).await;
    let more = pool.connect(addr, Ask::new(1)).await;
    assert_eq!(more, Err(ConnectionError::Overloaded(Bound::Connections)));
    // Whoever loses interest ends the connection.
    held.shutdown().await;
    until("their places are free", || pool.statistics().outbound == 0).await;
}

#[tokio::test]
async fn one_address_opens_four_connections_and_no_more() {
    // Not `local`, so that the limits of the public network hold.
    let pool = pool(Config::default());
    let listener = pool.listen("127.0.0.1:0".parse().unwrap(), gives()).unwrap();
    let mut streams: Vec<_> = (0..4).map(|_| TcpStream::connect(listener.local_addr()).unwrap()).collect();
    until("four are there", || pool.statistics().inbound == 4).await;
    let mut fifth = tokio::net::TcpStream::connect(listener.local_addr()).await.unwrap();
    assert_eq!(fifth.read(&mut [0]).await.unwrap_or(0), 0);
    assert_eq!((pool.statistics().inbound, pool.statistics().refused), (4, 1));
    streams.pop();
    until("one left", || pool.statistics().inbound == 3).await;
    streams.push(TcpStream::connect(listener.local_addr()).unwrap());
    until("another came", || pool.statistics().inbound == 4).await;
}

#[tokio::test]
async fn whom_the_maker_does_not_want_is_let_go() {
    let pool = pool(local());
    let make: Make<Give> = Arc::new(|_| None);
    let listener = pool.listen("127.0.0.1:0".parse().unwrap(), make).unwrap();
    let result = pool.connect(listener.local_addr(), Ask::new(1)).await.unwrap_err();
    assert!(matches!(result, ConnectionError::Ended | ConnectionError::Reset));
    until("nobody stays", || pool.statistics().inbound == 0).await;
    let addr = listener.local_addr();
    drop(listener);
    until("nothing listens", || TcpStream::connect(addr).is_err()).await;
}

struct Panics;

impl Conversation for Panics {
    type Output = ();

    fn receive(&mut self, _: &[u8]) {}

    fn take_output(&mut self) -> Vec<u8> {
        panic!("as this conversation does");
    }

    fn result(&mut self) -> Option<()> {
        None
    }
}

#[tokio::test]
async fn a_panic_reaches_the_caller_and_leaves_no_place_taken() {
    let addr = server(drop);
    let pool = pool(local());
    let calling = pool.clone();
    let called = tokio::spawn(async move { calling.connect(addr, Panics).await });
    assert!(called.await.unwrap_err().is_panic());
    until("its place is free", || pool.statistics().outbound == 0).await;
}

#[tokio::test]
async fn closing_ends_everything_in_time() {
    let pool = pool(Config { idle_timeout: 60 * SECOND, linger: SECOND, ..local() });
    let silent = server(|mut stream| drop(thread::spawn(move || stream.read_to_end(&mut Vec::new()))));
    // Answers, and does not end its side: whoever talked to it lingers.
    let lingering = server(|mut stream| {
        stream.write_all(&[0]).unwrap();
        std::mem::forget(stream);
    });
    let listener = pool.listen("127.0.0.1:0".parse().unwrap(), gives()).unwrap();
    let _inbound: Vec<_> = (0..20).map(|_| TcpStream::connect(listener.local_addr()).unwrap()).collect();
    let mut calls = tokio::task::JoinSet::new();
    for addr in [silent, listener.local_addr()].repeat(20) {
        let pool = pool.clone();
        // Says nothing, so that nobody answers.
        let ask = Ask { out: Vec::new(), ..Ask::new(1) };
        calls.spawn(async move { pool.connect(addr, ask).await });
    }
    assert_eq!(pool.connect(lingering, Ask::new(1)).await, Ok(1));
    until("all are there", || (pool.statistics().inbound, pool.statistics().outbound) == (40, 41)).await;
    // And some that are just being dialled.
    for _ in 0..20 {
        let pool = pool.clone();
        calls.spawn(async move { pool.connect(silent, Ask::new(1)).await });
    }
    tokio::task::yield_now().await;
    let start = Instant::now();
    pool.close().await;
    assert!(start.elapsed() < 2 * SECOND, "{:?}", start.elapsed());
    assert_eq!((pool.statistics().inbound, pool.statistics().outbound), (0, 0));
    while let Some(result) = calls.join_next().await {
        assert_eq!(result.unwrap(), Err(ConnectionError::Closed));
    }
    assert_eq!(pool.connect(silent, Ask::new(1)).await, Err(ConnectionError::Closed));
    assert_eq!(pool.listen(silent, gives()).unwrap_err(), ListenError::Closed);
    assert!(TcpStream::connect(listener.local_addr()).is_err());
    pool.close().await;
}
