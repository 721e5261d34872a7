//! Every prefix and every single flipped bit of valid messages, as ordinary tests.

use dht_mainline::{
    Magnet, krpc,
    metadata::{Config, Session},
};

use crate::{
    metadata::{self, Known, Role},
    valid,
};

/// Each message cut everywhere and with each bit turned over.
fn broken(message: &[u8], mut each: impl FnMut(&[u8])) {
    let mut bytes = message.to_vec();
    for end in 0..bytes.len() {
        each(&bytes[..end]);
    }
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        each(&bytes);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn datagrams() {
    for datagram in valid::datagrams() {
        assert!(krpc::decode(&datagram).is_ok(), "{}", datagram.escape_ascii());
        (0..datagram.len()).for_each(|end| assert!(krpc::decode(&datagram[..end]).is_err()));
        crate::krpc::run(&datagram);
        broken(&datagram, crate::krpc::run);
    }
    for (i, part) in valid::parts().into_iter().enumerate() {
        let link = std::str::from_utf8(&part).ok().and_then(|text| text.parse::<Magnet>().ok());
        assert_eq!(link.is_some(), i < 3, "links come first");
        crate::krpc::run(&part);
        broken(&part, crate::krpc::run);
    }
}

#[test]
fn bencode() {
    for value in [valid::values(), valid::datagrams()].concat() {
        crate::bencode::run(&value);
        broken(&value, crate::bencode::run);
    }
}

/// What both sides of a session say to each other.
fn conversation(role: &Role) -> [Vec<u8>; 2] {
    let mut fetch = Session::fetch(role.wanted, [1; 20], role.config.clone()).unwrap();
    let mut serve = Session::serve(role.known.metadata.clone(), [2; 20], role.config.clone()).unwrap();
    let mut said = [Vec::new(), Vec::new()];
    loop {
        let (ours, theirs) = (fetch.take_output(), serve.take_output());
        if ours.is_empty() && theirs.is_empty() {
            assert_eq!(fetch.result(), Some(&Ok(role.known.metadata.clone())));
            return said;
        }
        fetch.receive(&theirs);
        serve.receive(&ours);
        said[0].extend(ours);
        said[1].extend(theirs);
    }
}

#[test]
fn sessions() {
    for kind in 0..4 {
        let known = Known::new(150);
        let mut role = Role { wanted: known.wanted(kind), fetch: true, config: Config::default(), known };
        let [asks, answers] = conversation(&role);
        for (fetch, stream) in [(true, answers), (false, asks)] {
            role.fetch = fetch;
            let whole = metadata::play(&role, stream.chunks(1));
            assert_eq!(matches!(whole.0, Some(Ok(_))), fetch);
            broken(&stream, |stream| {
                let at_once = metadata::play(&role, [stream].into_iter());
                assert!(at_once == metadata::play(&role, stream.chunks(7)));
                // What was cut short is never taken for the whole.
                let short = matches!(at_once.0, Some(Ok(_))) && stream.len() < role.known.metadata.len();
                assert!(!short);
            });
        }
    }
}
