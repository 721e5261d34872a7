//! One thread that keeps so many questions under way at one server: whenever answers come, as many new questions go out, in
//! one call of the system each way.

use std::{
    io::{IoSlice, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

/// Questions under way at any time.
pub const OUTSTANDING: usize = 64;
/// Bytes of the longest answer.
const LONGEST: usize = 2048;
/// After this long without any answer all questions are lost.
const PATIENCE: Duration = Duration::from_millis(200);
/// One of so many answers is looked at as a whole.
const LOOK: u64 = 16;

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// Answers.
    pub replies: u64,
    /// Questions without one.
    pub lost: u64,
    /// How long it took.
    pub took: Duration,
    /// Microseconds from question to answer, sorted.
    pub waits: Vec<u32>,
}

impl Flow {
    /// So many of a hundred waited at most this long, in microseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.waits.len() * percent / 100).min(self.waits.len().saturating_sub(1));
        self.waits.get(at).map_or(f64::NAN, |wait| f64::from(*wait))
    }
}

/// A socket that asks one server.
pub struct Load {
    socket: UdpSocket,
    received: MultiHeaders<SockaddrIn>,
    sent: MultiHeaders<SockaddrIn>,
    buffers: Vec<[u8; LONGEST]>,
    /// The number of the last question of each place.
    latest: [u32; OUTSTANDING],
    asked: [Instant; OUTSTANDING],
    next: usize,
}

impl Load {
    /// For the server at this address.
    ///
    /// # Errors
    /// When there is no socket.
    pub fn new(server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((server.ip(), 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            received: MultiHeaders::preallocate(OUTSTANDING, None),
            sent: MultiHeaders::preallocate(OUTSTANDING, None),
            buffers: vec![[0; LONGEST]; OUTSTANDING],
            latest: [0; OUTSTANDING],
            asked: [Instant::now(); OUTSTANDING],
            next: 0,
        })
    }

    /// Asks once, again and again until there is an answer, and returns it.
    ///
    /// # Errors
    /// When there is none within five seconds.
    pub fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>> {
        let begun = Instant::now();
        let tid = tid(question)?;
        while begun.elapsed() < Duration::from_secs(5) {
            self.socket.send(question)?;
            while let Ok(length) = self.socket.recv(&mut self.buffers[0]) {
                let answer = &self.buffers[0][..length];
                if answered(answer) == Some(&question[tid..tid + 4]) {
                    return Ok(answer.to_vec());
                }
            }
        }
        Err(anyhow::anyhow!("no answer"))
    }

    /// Asks once under a new transaction id and waits for the answer; takes nothing from the heap.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask_anew(&mut self, question: &mut [u8]) -> Result<()> {
        let at = tid(question)?;
        self.latest[0] = self.latest[0].wrapping_add(1);
        question[at..at + 4].copy_from_slice(&self.latest[0].to_be_bytes());
        self.socket.send(question)?;
        loop {
            let length = self.socket.recv(&mut self.buffers[0]).context("an answer")?;
            if answered(&self.buffers[0][..length]) == Some(&question[at..at + 4]) {
                return Ok(());
            }
        }
    }

    /// Asks these questions in turn for so long. `right` says whether an answer is what was asked for.
    ///
    /// # Errors
    /// When an answer is not right.
    pub fn run(
        &mut self,
        questions: &mut [Vec<u8>],
        time: Duration,
        right: impl Fn(&[u8]) -> bool,
    ) -> Result<Flow> {
        ensure!(questions.len() >= OUTSTANDING, "one question for each place");
        let tids = questions.iter().map(|question| tid(question)).collect::<Result<Vec<_>>>()?;
        let mut flow = Flow::default();
        let begun = Instant::now();
        let mut free: Vec<usize> = (0..OUTSTANDING).collect();
        while begun.elapsed() < time {
            self.send(&free, questions, &tids)?;
            free.clear();
            self.receive(&mut free, &mut flow, &right)?;
            if free.is_empty() {
                flow.lost += OUTSTANDING as u64;
                free.extend(0..OUTSTANDING);
            }
        }
        flow.took = begun.elapsed();
        flow.waits.sort_unstable();
        // What is still under way is not counted, and must not be in the way of the next run.
        while self.socket.recv(&mut self.buffers[0]).is_ok() {}
        Ok(flow)
    }

    fn send(&mut self, free: &[usize], questions: &mut [Vec<u8>], tids: &[usize]) -> Result<()> {
        let count = questions.len();
        let mut chosen = Vec::with_capacity(free.len());
        for place in free {
            // Places go round through all questions, so that none is asked by two at a time.
            let question = (self.next + chosen.len()) % count;
            self.latest[*place] = self.latest[*place].wrapping_add(1);
            let tid = (*place as u32) << 24 | self.latest[*place] & 0xff_ffff;
            questions[question][tids[question]..][..4].copy_from_slice(&tid.to_be_bytes());
            chosen.push(question);
        }
        self.next = (self.next + chosen.len()) % count;
        let slices: Vec<_> = chosen.iter().map(|at| [IoSlice::new(&questions[*at])]).collect();
        let nobody = vec![None; slices.len()];
        let now = Instant::now();
        free.iter().for_each(|place| self.asked[*place] = now);
        let fd = self.socket.as_raw_fd();
        sendmmsg(fd, &mut self.sent, &slices, &nobody, [], MsgFlags::empty()).context("sendmmsg")?;
        Ok(())
    }

    fn receive(
        &mut self,
        free: &mut Vec<usize>,
        flow: &mut Flow,
        right: &impl Fn(&[u8]) -> bool,
    ) -> Result<()> {
        let mut slices: Vec<_> = self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let fd = self.socket.as_raw_fd();
        let lengths: Vec<usize> =
            match recvmmsg(fd, &mut self.received, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
                Ok(messages) => messages.map(|message| message.bytes).collect(),
                Err(nix::Error::EAGAIN) => return Ok(()),
                Err(error) => return Err(error).context("recvmmsg"),
            };
        let now = Instant::now();
        for (buffer, length) in self.buffers.iter().zip(lengths) {
            let answer = &buffer[..length];
            // Questions of the server, and answers to what counts as lost, are none of ours.
            let Some(tid) = answered(answer).and_then(|tid| tid.try_into().ok()).map(u32::from_be_bytes)
            else {
                continue;
            };
            let place = (tid >> 24) as usize;
            if place >= OUTSTANDING
                || self.latest[place] & 0xff_ffff != tid & 0xff_ffff
                || free.contains(&place)
            {
                continue;
            }
            if flow.replies.is_multiple_of(LOOK) {
                ensure!(right(answer), "a wrong answer: {}", answer.escape_ascii());
            }
            flow.replies += 1;
            flow.waits.push(now.duration_since(self.asked[place]).as_micros() as u32);
            free.push(place);
        }
        Ok(())
    }
}

/// Where the transaction id of 4 bytes stands.
pub(super) fn tid(message: &[u8]) -> Result<usize> {
    let key = b"1:t4:";
    let at = message.windows(key.len()).rposition(|window| window == key);
    Ok(at.context("a transaction id of four bytes")? + key.len())
}

/// The transaction id of an answer; it stands near the end, and an answer says at its very end that it is one.
fn answered(message: &[u8]) -> Option<&[u8]> {
    message.strip_suffix(b"1:y1:re")?;
    let tail = &message[message.len().saturating_sub(48)..];
    let at = tid(tail).ok()?;
    tail.get(at..at + 4)
}
