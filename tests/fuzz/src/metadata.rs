//! A metadata session with any peer, in both roles: nothing but the wanted bytes is ever believed, memory and answers are
//! bounded by what was sent, how the stream was cut does not matter, and the end is the end.
//!
//! Memory is seen where the program counts it (the target, and the test beside this crate); elsewhere that check is void.

use std::sync::LazyLock;

use bytes::Bytes;
use dht_mainline::{
    InfoHash,
    metadata::{Config, PIECE, Session, SessionError, Wanted},
};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use stats_alloc::INSTRUMENTED_SYSTEM;

use crate::input::Input;

const LOCAL: [u8; 20] = [7; 20];
const UT_METADATA: u8 = 1;
/// The longest stream that a script makes.
const MAX_STREAM: usize = 1 << 18;

/// Info dictionaries with both hashes.
static KNOWN: LazyLock<Vec<Known>> =
    LazyLock::new(|| [1, 300, PIECE, PIECE + 1, 3 * PIECE - 7].map(Known::new).to_vec());

/// An info dictionary; to a session it is just bytes.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) metadata: Bytes,
    v1: InfoHash,
    v2: [u8; 32],
}

impl Known {
    pub(crate) fn new(size: usize) -> Self {
        let metadata: Bytes = (0..size).map(|i| (i ^ (i >> 8)) as u8).collect();
        let (v1, v2) = hashes(&metadata);
        Self { metadata, v1, v2 }
    }

    pub(crate) fn wanted(&self, kind: u8) -> Wanted {
        let short = InfoHash(*self.v2.first_chunk().expect("32 bytes"));
        match kind % 4 {
            0 => Wanted::V1(self.v1),
            1 => Wanted::V2(self.v2),
            2 => Wanted::Swarm(self.v1),
            _ => Wanted::Swarm(short),
        }
    }
}

fn hashes(bytes: &[u8]) -> (InfoHash, [u8; 32]) {
    (InfoHash(Sha1::digest(bytes).into()), Sha256::digest(bytes).into())
}

/// One side of a conversation, before anything was said.
#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) known: Known,
    pub(crate) wanted: Wanted,
    pub(crate) fetch: bool,
    pub(crate) config: Config,
}

/// The first bytes choose the session; then each byte is something that the peer says, and others choose how it is cut.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (first, second, step) = (input.byte(), input.byte(), input.byte());
    let known = KNOWN[usize::from(first >> 1) % KNOWN.len()].clone();
    let config = Config {
        max_size: [300, 16 << 20, 40_000, 1][usize::from(second) % 4],
        window: 1 + usize::from(second >> 2) % 5,
        max_overhead: [1 << 20, 4096, 600, 100_000][usize::from(second >> 5) % 4],
        max_rounds: 1 + usize::from(second >> 7) * 3,
    };
    let role = Role { wanted: known.wanted(first >> 5), fetch: first & 1 == 0, config, known };
    let mut script = Script { role: &role, messages: Vec::new(), length: 0 };
    while !input.is_empty() && script.length < MAX_STREAM {
        let message = script.message(&mut input);
        script.length += message.len();
        script.messages.push(message);
    }
    let messages = script.messages;
    let stream = messages.concat();
    // A step of some bytes costs as many calls; long streams are cut less finely.
    let step = (1 + usize::from(step) * 3).max(stream.len() / 64);
    let whole = play(&role, messages.iter().map(Vec::as_slice));
    let cut = play(&role, stream.chunks(step));
    // How much may arrive is looked at when it has arrived, so that long pieces let more pass.
    if ![&whole.0, &cut.0].contains(&&Some(Err(SessionError::Flood))) {
        assert!(whole == cut, "cut by {step}: {:?} {:?}", whole.0, cut.0);
    }
}

type Outcome = (Option<Result<Bytes, SessionError>>, Vec<u8>);

/// Feeds a session with these pieces of a stream, and checks it after each.
pub(crate) fn play<'a>(role: &Role, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let before = live();
    let fetch = || Session::fetch(role.wanted, LOCAL, role.config.clone());
    let serve = || Session::serve(role.known.metadata.clone(), LOCAL, role.config.clone());
    let mut session = if role.fetch { fetch() } else { serve() }.expect("these options are valid");
    let mut said = session.take_output();
    let (mut sent, mut saved) = (0, said.capacity());
    for bytes in pieces {
        session.receive(bytes);
        sent += bytes.len();
        let held = live() - before - saved as isize;
        let window = if role.fetch { role.config.window * PIECE } else { role.answers() };
        let most = 3 * sent + 2 * window + 8192;
        assert!(held <= most as isize, "{held} bytes are held after {sent}");
        said.extend(session.take_output());
        saved = said.capacity();
    }
    let result = session.result().cloned();
    judge(role, result.as_ref(), sent, &said);
    if result.is_some() {
        session.receive(&[0; 100]);
        assert!(session.result() == result.as_ref() && session.take_output().is_empty());
    }
    (result, said)
}

impl Role {
    /// Bytes of all answers that a peer may have.
    fn answers(&self) -> usize {
        self.config.max_rounds * self.known.metadata.len().div_ceil(PIECE) * (PIECE + 100) + 300
    }
}

fn judge(role: &Role, result: Option<&Result<Bytes, SessionError>>, sent: usize, said: &[u8]) {
    match result {
        Some(Ok(bytes)) => {
            assert!(role.fetch);
            let (v1, v2) = hashes(bytes);
            assert!(*bytes == role.known.metadata && v1 == role.known.v1 && v2 == role.known.v2);
            assert!(bytes.len() <= role.config.max_size);
        }
        Some(Err(_)) => {}
        None => {
            let size = if role.fetch { role.config.max_size } else { 0 };
            assert!(sent <= role.config.max_overhead + size, "{sent} bytes are too many");
        }
    }
    let most = if role.fetch { 2 * sent + 64 * role.config.window + 300 } else { role.answers() };
    assert!(said.len() <= most, "{} bytes answer {sent}", said.len());
}

/// Bytes that live, where they are counted.
fn live() -> isize {
    let stats = INSTRUMENTED_SYSTEM.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated) as isize
}

/// What the peer says.
struct Script<'r> {
    role: &'r Role,
    messages: Vec<Vec<u8>>,
    length: usize,
}

impl Script<'_> {
    fn message(&self, input: &mut Input<'_>) -> Vec<u8> {
        match input.byte() % 12 {
            0 => input.some(80).to_vec(),
            1 => {
                let mut hash = self.role.wanted.info_hash();
                let odd = input.byte();
                hash.0[0] ^= u8::from(odd == 1);
                handshake(&hash, odd != 2)
            }
            2 => self.introduction(input),
            3 => {
                let index = i64::from(input.byte() % 4);
                data(index, self.total(input.byte()), self.piece(index))
            }
            4 => {
                let (index, length) = (self.index(input.byte()), input.byte());
                let length = [0, 1, PIECE - 1, PIECE, PIECE + 1, 299][usize::from(length) % 6];
                data(index, self.total(input.byte()), &vec![input.byte(); length])
            }
            5 => extended(
                UT_METADATA,
                format!("d8:msg_typei0e5:piecei{}ee", self.index(input.byte())).as_bytes(),
            ),
            6 => extended(
                UT_METADATA,
                format!("d8:msg_typei2e5:piecei{}ee", self.index(input.byte())).as_bytes(),
            ),
            7 => {
                let length = [0, 1, 2, 65_536, 65_537, 1 << 20, (1 << 20) + 1, u32::MAX]
                    [usize::from(input.byte()) % 8];
                [&length.to_be_bytes()[..], input.some(40)].concat()
            }
            8 => vec![0; 64 << (input.byte() % 9)],
            9 => {
                let length = 1 + u32::from(input.short());
                let id = input.byte();
                [&length.to_be_bytes()[..], &[id], &vec![id; length as usize - 1]].concat()
            }
            10 => extended(input.byte() % 3, input.some(255)),
            _ => [introduce(UT_METADATA, Some(self.role.known.metadata.len() as i64)), vec![0; 4]].concat(),
        }
    }

    fn introduction(&self, input: &mut Input<'_>) -> Vec<u8> {
        let actual = self.role.known.metadata.len() as i64;
        let most = self.role.config.max_size as i64;
        let sizes = [actual, actual + 1, most, most + 1, 1 << 32, i64::MAX, i64::MIN, -1, 0];
        let id = [UT_METADATA, 0, 3, 255][usize::from(input.byte()) % 4];
        introduce(id, sizes.get(usize::from(input.byte()) % 10).copied())
    }

    fn total(&self, choice: u8) -> Option<i64> {
        let actual = self.role.known.metadata.len() as i64;
        [None, Some(actual), Some(actual + 1), Some(-1)][usize::from(choice) % 4]
    }

    fn index(&self, choice: u8) -> i64 {
        [0, 1, 2, 3, -1, i64::MAX, i64::MIN, 1 << 32][usize::from(choice) % 8]
    }

    fn piece(&self, index: i64) -> &[u8] {
        let metadata = &self.role.known.metadata;
        let start = (index as usize * PIECE).min(metadata.len());
        &metadata[start..(start + PIECE).min(metadata.len())]
    }
}

fn handshake(hash: &InfoHash, extends: bool) -> Vec<u8> {
    let reserved = [0, 0, 0, 0, 0, if extends { 0x10 } else { 0 }, 0, 1];
    [&b"\x13BitTorrent protocol"[..], &reserved, &hash.0, &[9; 20]].concat()
}

fn extended(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32 + 2;
    [&length.to_be_bytes()[..], &[20, id], payload].concat()
}

fn introduce(id: u8, size: Option<i64>) -> Vec<u8> {
    let size = size.map(|size| format!("13:metadata_sizei{size}e")).unwrap_or_default();
    extended(0, format!("d1:md11:ut_metadatai{id}ee{size}e").as_bytes())
}

fn data(index: i64, total: Option<i64>, piece: &[u8]) -> Vec<u8> {
    let total = total.map(|total| format!("10:total_sizei{total}e")).unwrap_or_default();
    let head = format!("d8:msg_typei1e5:piecei{index}e{total}e");
    extended(UT_METADATA, &[head.as_bytes(), piece].concat())
}
