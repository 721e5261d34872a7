//! Who stores must have been given a token at its own address, for this very place, not long ago (SECURITY D10); and what he stores must be true
//! (D14).

use std::time::Duration;

use dht::{
    mainline::{
        InfoHash, Item,
        bencode::{Limits, Tree},
        item::Signed,
        krpc::{self, Call, Canonical},
    },
    records::Store,
};
use ed25519_dalek::SigningKey;

use super::{
    server::Server,
    stranger::{SWARM, Stranger, get_peers, refusal, token},
};

fn announce(info_hash: InfoHash, token: &[u8]) -> Call<'_> {
    Call::AnnouncePeer { info_hash, port: 7000, implied_port: false, seed: false, token }
}

fn put(token: &[u8]) -> Call<'_> {
    let v = Canonical::new(b"5:value", Limits::default()).unwrap();
    Call::Put { token, target: None, v, signed: None, cas: None }
}

/// Half of what an address may ask at once, so that the limits play no part here.
const PAUSE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn forged_borrowed_and_old_tokens_store_nothing() {
    let _shared = super::QUIET.read().await;
    let server = Server::start().await;
    let (owner, thief) = (Stranger::at([127, 0, 2, 1], 10).await, Stranger::at([127, 0, 2, 2], 11).await);
    let given = token(&server.ask(&owner, get_peers()).await).expect("everybody gets one");
    let refused = async |from: &Stranger, call: Call<'_>| {
        server.pass(PAUSE);
        assert_eq!(refusal(&server.ask(from, call).await), Some(203));
    };
    // Of somebody else, for something else, of another kind of store.
    refused(&thief, announce(SWARM, &given)).await;
    refused(&owner, announce(InfoHash([0x34; 20]), &given)).await;
    refused(&owner, put(&given)).await;
    // Every bit counts, and the length.
    for bit in 0..given.len() * 8 {
        let mut bent = given.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        refused(&owner, announce(SWARM, &bent)).await;
    }
    for odd in [&given[..7], &[given.clone(), vec![0]].concat(), &[], &[0; 8], &[7; 200]] {
        refused(&owner, announce(SWARM, odd)).await;
    }
    assert_eq!(server.records().await, 0);

    server.pass(PAUSE);
    assert_eq!(refusal(&server.ask(&owner, announce(SWARM, &given)).await), None, "it is the owner's");
    assert_eq!(server.records().await, 1);
    // It may be used again, which changes nothing, until it is ten minutes old.
    server.pass(PAUSE);
    assert_eq!(refusal(&server.ask(&owner, announce(SWARM, &given)).await), None);
    server.pass(Duration::from_secs(600));
    refused(&owner, announce(SWARM, &given)).await;
    assert_eq!(server.records().await, 1);
}

/// Who has a token still stores nothing that is not true, and nothing older than what is there (BEP 44).
#[tokio::test]
async fn lies_about_items_are_refused_by_number() {
    let _shared = super::QUIET.read().await;
    let server = Server::start().await;
    let liar = Stranger::at([127, 0, 4, 1], 10).await;
    let key = SigningKey::from_bytes(&[7; 32]);
    let large = Tree::from(vec![b'x'; 997].as_slice());
    let item = |seq, text: &str| Item::mutable(&key, b"", seq, &text.into()).unwrap();
    let bent = |change: fn(&mut Signed)| {
        let mut item = item(5, "five");
        change(item.signed.as_mut().unwrap());
        item
    };
    let offer = async |item: &Item, cas: Option<i64>| {
        server.pass(PAUSE);
        let target = item.target();
        let given = token(&server.ask(&liar, Call::Get { target, seq: None }).await).unwrap();
        server.pass(PAUSE);
        let v = Canonical::new(&item.value, Limits::of(4000)).unwrap();
        let signed = item.signed.as_ref().map(|signed| krpc::Signed {
            key: &signed.key,
            signature: &signed.signature,
            seq: signed.seq,
            salt: &signed.salt,
        });
        refusal(&server.ask(&liar, Call::Put { token: &given, target: None, v, signed, cas }).await)
    };
    assert_eq!(offer(&item(5, "five"), None).await, None);
    let lies = [
        (bent(|signed| signed.signature[63] ^= 1), None, 206),
        (bent(|signed| signed.seq = 6), None, 206),
        (bent(|signed| signed.key = [0; 32]), None, 206),
        (bent(|signed| signed.seq = -1), None, 203),
        (bent(|signed| signed.salt = vec![b's'; 65].into()), None, 207),
        (Item { value: large.encode().into(), signed: None }, None, 205),
        (item(4, "four"), None, 302),
        (item(5, "another"), None, 302),
        (item(6, "six"), Some(4), 301),
    ];
    for (item, cas, code) in lies {
        assert_eq!(offer(&item, cas).await, Some(code), "{:?}", item.signed);
    }
    let statistics = server.store.statistics().await.unwrap();
    assert_eq!((statistics.records, statistics.queries), (1, 1));
    assert_eq!(offer(&item(6, "six"), Some(5)).await, None, "what is true is taken");
}

/// Ten thousand guesses over the wire, more than pass the limits; a million are tried beside the tokens themselves.
#[tokio::test]
async fn guessing_tokens_is_in_vain() {
    let _shared = super::QUIET.read().await;
    let server = Server::start().await;
    let guesser = Stranger::at([127, 0, 3, 1], 10).await;
    let mut guess = 0u64;
    for _ in 0..100 {
        for _ in 0..100 {
            guess = guess.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = guess.to_be_bytes();
            let call = if guess & 1 == 0 { put(&bytes) } else { announce(SWARM, &bytes) };
            server.says(&guesser, &guesser.question(server.tid(), call)).await;
        }
        server.pass(Duration::from_secs(5));
        server.done().await;
    }
    let answers = guesser.answers();
    assert!(answers.iter().all(|answer| refusal(answer) == Some(203)));
    println!("10000 guesses, {} of them answered", answers.len());
    assert!(answers.len() <= 50 + 50 * 100, "no more than the limit of its address");
    assert_eq!(server.records().await, 0);
}
