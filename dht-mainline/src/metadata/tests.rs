use proptest::{collection, prelude::*};

use super::*;

const LOCAL: [u8; 20] = *b"-XX0001-abcdefghijkl";

fn metadata(size: usize) -> Bytes {
    (0..size).map(|i| (i * 31 % 251) as u8).collect()
}

fn fetch(wanted: Wanted) -> Session {
    Session::fetch(wanted, LOCAL, Config::default()).unwrap()
}

fn serve(metadata: &Bytes) -> Session {
    Session::serve(metadata.clone(), LOCAL, Config::default()).unwrap()
}

/// Carries bytes both ways, `step` at a time, until nobody says anything.
fn talk(a: &mut Session, b: &mut Session, step: usize) {
    loop {
        let (to_b, to_a) = (a.take_output(), b.take_output());
        if to_a.is_empty() && to_b.is_empty() {
            return;
        }
        to_b.chunks(step).for_each(|bytes| b.receive(bytes));
        to_a.chunks(step).for_each(|bytes| a.receive(bytes));
    }
}

#[test]
fn every_size_is_fetched_whole() {
    for size in [1, 100, PIECE - 1, PIECE, PIECE + 1, 7 * PIECE, 7 * PIECE + 5] {
        let metadata = metadata(size);
        for wanted in [
            Wanted::V1(v1(&metadata)),
            Wanted::V2(v2(&metadata)),
            Wanted::Swarm(v1(&metadata)),
            Wanted::Swarm(truncated(&v2(&metadata))),
        ] {
            let (mut ours, mut theirs) = (fetch(wanted), serve(&metadata));
            talk(&mut ours, &mut theirs, 1448);
            assert_eq!(ours.result(), Some(&Ok(metadata.clone())), "{size}");
            assert_eq!(theirs.result(), None);
        }
    }
}

#[test]
fn one_of_many_is_served_and_no_other() {
    let many: Vec<_> = [10, PIECE, 2 * PIECE + 1].map(metadata).into();
    for wanted in &many {
        let known = many.clone();
        let find =
            move |swarm: &InfoHash| known.iter().find(|metadata| Wanted::Swarm(*swarm).is(metadata)).cloned();
        let serve = || Session::serve_any(find.clone(), LOCAL, Config::default()).unwrap();
        let (mut ours, mut theirs) = (fetch(Wanted::V1(v1(wanted))), serve());
        talk(&mut ours, &mut theirs, 1448);
        assert_eq!(ours.result(), Some(&Ok(wanted.clone())));
        let (mut ours, mut theirs) = (fetch(Wanted::V1(InfoHash([1; 20]))), serve());
        talk(&mut ours, &mut theirs, 1448);
        assert_eq!(theirs.result(), Some(&Err(SessionError::Swarm)));
    }
}

/// The other side, by hand.
struct Peer {
    session: Session,
    metadata: Bytes,
}

impl Peer {
    /// A peer that introduced itself with this size.
    fn of(size: i64) -> Self {
        let metadata = metadata(3 * PIECE - 7);
        let wanted = Wanted::V1(v1(&metadata));
        let mut session = fetch(wanted);
        let mut out = Vec::new();
        Handshake { info_hash: wanted.info_hash(), peer: [9; 20] }.encode(&mut out);
        session.receive(&out);
        let mut peer = Self { session, metadata };
        peer.say(0, format!("d1:md11:ut_metadatai3ee13:metadata_sizei{size}ee").as_bytes());
        peer
    }

    fn honest() -> Self {
        Self::of(3 * PIECE as i64 - 7)
    }

    fn say(&mut self, id: u8, payload: &[u8]) {
        let mut out = Vec::new();
        wire::extended(&mut out, id, |_| {}, payload);
        self.session.receive(&out);
    }

    fn give(&mut self, index: i64, piece: &[u8]) {
        let mut payload = Vec::new();
        Piece::Data { index, total: None }.write(&mut payload);
        payload.extend_from_slice(piece);
        self.say(1, &payload);
    }

    fn piece(&self, index: usize) -> Vec<u8> {
        self.metadata[index * PIECE..(index * PIECE + PIECE).min(self.metadata.len())].to_vec()
    }

    fn error(&self) -> Option<SessionError> {
        self.session.result().and_then(|result| result.as_ref().err().copied())
    }
}

#[test]
fn pieces_in_any_order_make_the_whole() {
    let mut peer = Peer::honest();
    for index in [2, 0, 1] {
        let piece = peer.piece(index);
        assert!(peer.session.result().is_none());
        peer.give(index as i64, &piece);
    }
    assert_eq!(peer.session.result(), Some(&Ok(peer.metadata.clone())));
}

#[test]
fn sizes_beyond_the_limit_are_refused_before_anything_is_kept() {
    for size in [0, -1, 1 << 32, i64::MAX, i64::MIN, (16 << 20) + 1] {
        let mut peer = Peer::of(size);
        assert_eq!(peer.error(), Some(SessionError::Size(size)));
        peer.session.take_output();
        peer.give(0, &[0; PIECE]);
        assert!(peer.session.take_output().is_empty());
    }
    // A size within the limit is not believed either: nothing is allocated for it.
    let peer = Peer::of(16 << 20);
    let Duty::Fetch { data, open, .. } = &peer.session.duty else { unreachable!() };
    assert_eq!((data.capacity(), open.len()), (0, 4));
}

#[test]
fn pieces_must_be_asked_for_and_of_their_size() {
    for (index, length) in
        [(0, PIECE - 1), (0, PIECE + 1), (0, 0), (2, PIECE), (3, PIECE), (-1, PIECE), (i64::MAX, PIECE)]
    {
        let mut peer = Peer::honest();
        peer.give(index, &vec![0; length]);
        assert_eq!(peer.error(), Some(SessionError::Piece(index)), "{index} {length}");
    }
    let mut twice = Peer::honest();
    let piece = twice.piece(0);
    twice.give(0, &piece);
    twice.give(0, &piece);
    assert_eq!(twice.error(), Some(SessionError::Piece(0)));
    let mut total = Peer::honest();
    total.say(1, &[b"d8:msg_typei1e5:piecei0e10:total_sizei5ee", &piece[..]].concat());
    assert_eq!(total.error(), Some(SessionError::Piece(0)));
}

#[test]
fn a_wrong_byte_anywhere_spoils_the_whole() {
    for spoilt in [0, PIECE, 3 * PIECE - 8] {
        let mut peer = Peer::honest();
        for index in 0..3 {
            let mut piece = peer.piece(index);
            if spoilt / PIECE == index {
                piece[spoilt % PIECE] ^= 1;
            }
            peer.give(index as i64, &piece);
        }
        assert_eq!(peer.error(), Some(SessionError::Hash));
    }
}

#[test]
fn refusals_end_the_fetch_and_strange_messages_do_not() {
    let mut peer = Peer::honest();
    peer.session.take_output();
    peer.say(1, b"d8:msg_typei7e5:piecei0ee");
    peer.say(77, b"whatever");
    peer.session.receive(&[0, 0, 0, 0]);
    peer.session.receive(&[&[0, 0, 0, 9, 5][..], &[0xff; 8]].concat());
    assert!(peer.session.result().is_none() && peer.session.take_output().is_empty());
    // As long as nothing is complete, requests of the peer are refused.
    peer.say(1, b"d8:msg_typei0e5:piecei0ee");
    assert!(peer.session.take_output().ends_with(b"d8:msg_typei2e5:piecei0ee"));
    peer.say(1, b"d8:msg_typei2e5:piecei1ee");
    assert_eq!(peer.error(), Some(SessionError::Refused(1)));
}

#[test]
fn malformed_and_endless_messages_end_the_session() {
    for (payload, id) in
        [(&b""[..], 0), (b"le", 0), (b"d", 0), (b"d8:msg_typei0ee", 1), (b"d5:piecei0ee", 1), (b"xx", 1)]
    {
        let mut peer = Peer::honest();
        peer.say(id, payload);
        assert_eq!(peer.error(), Some(SessionError::Malformed), "{}", payload.escape_ascii());
    }
    for (length, id) in [(65_537u32, 20), (u32::MAX, 20), ((1 << 20) + 1, 7), (u32::MAX, 5)] {
        let mut peer = Peer::honest();
        peer.session.receive(&[&length.to_be_bytes()[..], &[id]].concat());
        assert_eq!(peer.error(), Some(SessionError::Frame(length)));
    }
    let mut peer = Peer::honest();
    while peer.session.result().is_none() {
        peer.session.receive(&[0; 4096]);
    }
    assert_eq!(peer.error(), Some(SessionError::Flood));
    assert!(peer.session.received < (1 << 20) + 4 * PIECE);
}

#[test]
fn strangers_are_told_apart_by_their_handshake() {
    let metadata = metadata(10);
    let mut hello = fetch(Wanted::V1(v1(&metadata))).take_output();
    assert_eq!(hello.len(), Handshake::LEN);
    let error = |hello: &[u8]| {
        let mut session = serve(&metadata);
        session.receive(hello);
        session.result().and_then(|result| result.clone().err())
    };
    assert_eq!(error(&hello), None);
    assert_eq!(error(&[b'G'; 68]), Some(SessionError::Protocol));
    hello[30] ^= 1;
    assert_eq!(error(&hello), Some(SessionError::Swarm));
    hello[25] = 0;
    assert_eq!(error(&hello), Some(SessionError::Unsupported));
    for introduction in
        [&b"de"[..], b"d1:mdee", b"d1:md11:ut_metadatai0ee13:metadata_sizei5ee", b"d1:md11:ut_metadatai2eee"]
    {
        let mut session = fetch(Wanted::V1(v1(&metadata)));
        let mut answer = Vec::new();
        Handshake { info_hash: v1(&metadata), peer: [9; 20] }.encode(&mut answer);
        wire::extended(&mut answer, 0, |_| {}, introduction);
        session.receive(&answer);
        assert_eq!(session.result(), Some(&Err(SessionError::Unsupported)));
    }
}

#[test]
fn a_server_gives_what_is_there_and_ends_a_flood() {
    let metadata = metadata(PIECE + 1);
    let mut session = serve(&metadata);
    let mut hello = fetch(Wanted::V1(v1(&metadata))).take_output();
    wire::extended(&mut hello, 0, |_| {}, b"d1:md11:ut_metadatai9eee");
    session.receive(&hello);
    session.take_output();
    let ask = |session: &mut Session, index: i64| {
        let mut out = Vec::new();
        wire::extended(&mut out, 1, |out| Piece::Request(index).write(out), &[]);
        session.receive(&out);
        session.take_output()
    };
    let last = ask(&mut session, 1);
    assert_eq!(last[4..6], [20, 9]);
    assert!(last.ends_with(&[b"d8:msg_typei1e5:piecei1e10:total_sizei16385ee", &metadata[PIECE..]].concat()));
    for index in [2, -1, i64::MAX] {
        assert!(ask(&mut session, index).ends_with(format!("d8:msg_typei2e5:piecei{index}ee").as_bytes()));
    }
    for _ in 0..4 {
        assert!(session.result().is_none());
        ask(&mut session, 0);
    }
    assert!(ask(&mut session, 0).is_empty());
    assert_eq!(session.result(), Some(&Err(SessionError::Flood)));
}

#[test]
fn options_are_checked_by_name() {
    for (config, field) in [
        (Config { max_size: 0, ..Config::default() }, "max_size"),
        (Config { window: 0, ..Config::default() }, "window"),
        (Config { max_overhead: 0, ..Config::default() }, "max_overhead"),
        (Config { max_rounds: 0, ..Config::default() }, "max_rounds"),
    ] {
        assert_eq!(Session::serve(Bytes::new(), LOCAL, config).err().map(|error| error.field), Some(field));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn how_the_bytes_are_cut_does_not_matter(size in 1usize..40_000, step in 1usize..5000) {
        let metadata = metadata(size);
        let (mut ours, mut theirs) = (fetch(Wanted::V1(v1(&metadata))), serve(&metadata));
        talk(&mut ours, &mut theirs, step);
        prop_assert_eq!(ours.result(), Some(&Ok(metadata)));
    }

    #[test]
    fn noise_is_survived_and_never_believed(
        noise in collection::vec(collection::vec(any::<u8>(), 0..60), 0..20), greeted in any::<bool>(),
    ) {
        let metadata = metadata(100);
        let wanted = Wanted::V1(v1(&metadata));
        for mut session in [fetch(wanted), serve(&metadata)] {
            let mut hello = Vec::new();
            Handshake { info_hash: wanted.info_hash(), peer: [9; 20] }.encode(&mut hello);
            if greeted {
                session.receive(&hello);
            }
            for bytes in &noise {
                let mut framed = Vec::new();
                wire::extended(&mut framed, bytes.first().copied().unwrap_or(0) % 2, |_| {}, bytes);
                session.receive(&framed);
                session.receive(bytes);
            }
            prop_assert!(!matches!(session.result(), Some(Ok(_))));
        }
    }
}
