//! The commands of the BitTorrent network, on loopback.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use serde_json::{Value, json};

use crate::harness::{Folder, Running, done, fails, run, stdout};

const HASH: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

fn node(more: &[&str]) -> Running {
    Running::start(&[&["--json", "mainline", "node", "--listen", "127.0.0.1:0"], more].concat())
}

/// Three nodes, and questions to their network.
struct Network {
    door: String,
    nodes: Vec<Running>,
}

impl Network {
    fn start() -> Self {
        let first = node(&[]);
        let door = first.event("listening")["addr"].as_str().unwrap().to_owned();
        assert_eq!(first.event("ready")["nodes"], 0);
        let mut nodes = vec![first];
        for _ in 0..2 {
            let next = node(&["--bootstrap", &door]);
            next.event("listening");
            assert!(next.event("ready")["nodes"].as_u64().unwrap() > 0);
            nodes.push(next);
        }
        Self { door, nodes }
    }

    fn with<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let place = ["--listen", "127.0.0.1:0", "--bootstrap", &self.door];
        [&["mainline"], arguments, &place].concat()
    }

    fn done(&self, arguments: &[&str]) -> Vec<Value> {
        done(&self.with(arguments))
    }

    fn fails(&self, arguments: &[&str], code: i32, says: &[&str]) {
        fails(&self.with(arguments), code, says);
    }
}

#[test]
fn wrong_use_is_one_line_and_code_two() {
    for (arguments, says) in [
        (&["mainline"][..], &["--help"][..]),
        (&["--config", "x", "mainline", "peers", HASH], &["--config", "dht mainline"]),
        (&["mainline", "peers", "nope"], &["nope", "40 hexadecimal digits", "magnet:?xt=urn:btih:"]),
        (&["mainline", "peers", HASH, "--timeout", "soon"], &["--timeout", "10s"]),
        (&["mainline", "peers", HASH, "--listen", "6881"], &["--listen", "0.0.0.0:6881"]),
        (&["mainline", "peers", HASH, "--bootstrap", "host"], &["--bootstrap", "router.example:6881"]),
        (&["mainline", "peers", HASH, "--local"], &["closed network", "--bootstrap HOST:PORT"]),
        (&["mainline", "peers", HASH, "--bootstrap", "127.0.0.1:1"], &["127.0.0.1:1", "--local"]),
        (&["mainline", "announce", HASH, "--port", "0"], &["--port", "1..=65535"]),
        (&["mainline", "scrape", "magnet:?dn=x"], &["magnet:?dn=x", "no `xt`"]),
        (&["mainline", "put"], &["VALUE|@FILE"]),
        (&["mainline", "put", "x", "--seq", "1"], &["--key"]),
        (&["mainline", "put", "x", "--key", "k", "--cas", "-1"], &["-1"]),
        (&["mainline", "get", "abc"], &["abc", "40 hexadecimal digits", "public key of 64"]),
        (&["mainline", "get", HASH, "--salt", "s"], &["--salt", "public key"]),
        (&["mainline", "sample"], &["HOST:PORT"]),
        (&["mainline", "sample", "127.0.0.1"], &["127.0.0.1", "192.0.2.1:6881"]),
        (&["mainline", "metadata", "http://x"], &["http://x", "magnet:?xt=urn:btih:"]),
        (&["mainline", "serve"], &["<FILE>"]),
        (&["mainline", "node", "--max-qps", "0"], &["--max-qps", "1.."]),
        (&["mainline", "harvest", "--for", "ever"], &["--for", "10s"]),
    ] {
        let output = run(arguments);
        if arguments == ["mainline"] {
            // The place for the whole help.
            assert_eq!(output.status.code(), Some(2));
            continue;
        }
        fails(arguments, 2, says);
    }
    let long = "x".repeat(1000);
    fails(&["mainline", "put", &long], 2, &["1000 bytes"]);
    fails(&["mainline", "put", "x", "--key", "k", "--salt", &long], 2, &["64 at most"]);
}

#[test]
fn what_can_not_be_done_is_one_line_and_code_one() {
    let folder = Folder::new("mainline-failures");
    let (absent, other) = (folder.file("absent"), folder.write("other", "something else"));
    let held = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let nobody = ["--bootstrap", &taken, "--local", "--timeout", "2s"];
    for (arguments, says) in [
        (&["peers", HASH][..], &[&taken[..], "--bootstrap"][..]),
        (&["put", &format!("@{absent}")], &[&absent]),
        (&["put", "x", "--key", &other], &[&other, "64 hexadecimal digits"]),
        (&["serve", &absent], &[&absent]),
        (&["serve", &other], &[&other, "not a torrent file"]),
    ] {
        fails(&[&["mainline"], arguments, &nobody].concat(), 1, says);
    }
    fails(&["mainline", "node", "--listen", &taken], 1, &[&taken, "--listen"]);
    fails(&["mainline", "node", "--listen", "127.0.0.1:0", "--state", &other], 1, &[&other, "another file"]);
    assert_eq!(fs::read_to_string(&other).unwrap(), "something else");
    fails(&["mainline", "sample", &taken, "--timeout", "1s"], 1, &[&taken]);
}

#[test]
fn swarms_are_joined_found_counted_and_sampled() {
    let network = Network::start();
    network.fails(&["peers", HASH], 3, &[HASH]);
    network.fails(&["scrape", HASH], 3, &[HASH]);
    let told = &network.done(&["announce", HASH, "--port", "7777", "--once"])[0];
    assert_eq!((&told["info_hash"], &told["stored"]), (&HASH.into(), &3.into()), "{told}");
    let link = format!("magnet:?xt=urn:btih:{}", HASH.to_uppercase());
    let found = network.done(&["peers", &link, "-n", "1"]);
    assert_eq!(found, [json!({ "info_hash": HASH, "addr": "127.0.0.1:7777" })]);

    let scraped = &network.done(&["scrape", HASH])[0];
    assert_eq!((scraped["seeds"].as_f64(), scraped["peers"].as_f64()), (Some(0.0), Some(1.0)), "{scraped}");

    let sampled = &done(&["mainline", "sample", &network.door])[0];
    assert_eq!((&sampled["num"], &sampled["samples"]), (&1.into(), &json!([HASH])), "{sampled}");
    assert_eq!(network.done(&["sample", "--walk", "-n", "1"])[0]["info_hash"], HASH);
}

#[test]
fn announcing_goes_on_until_it_is_told_to_end() {
    let network = Network::start();
    let announcing = Running::start(&[&["--json"][..], &network.with(&["announce", HASH])].concat());
    assert_eq!(announcing.line()["stored"], 3);
    // Without a port it is that of the datagrams, which are answered.
    let found = network.done(&["peers", HASH]);
    let addr = found[0]["addr"].as_str().unwrap();
    assert_eq!(done(&["mainline", "sample", addr])[0]["addr"], addr);
    let (code, took, last) = announcing.end("-TERM");
    assert_eq!((code, last.len()), (Some(0), 0));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn values_are_put_under_their_hash_and_got_as_they_are() {
    let folder = Folder::new("mainline-values");
    let network = Network::start();
    let put = |value: &str, form: &str| {
        let told = &network.done(&["put", value])[0];
        assert_eq!((&told["form"], &told["stored"]), (&form.into(), &3.into()), "{told}");
        told["target"].as_str().unwrap().to_owned()
    };
    let get = |target: &str| run(&network.with(&["get", target])).stdout;
    assert_eq!(get(&put("some text", "text")), b"some text");
    let bencode = folder.write("bencode", "d1:ai1ee");
    assert_eq!(get(&put(&format!("@{bencode}"), "bencode")), b"d1:ai1ee");
    let bytes = folder.write("bytes", "d1:ai1ee\n");
    let target = put(&format!("@{bytes}"), "bytes");
    assert_eq!(get(&target), b"d1:ai1ee\n");
    let got = &network.done(&["get", &target])[0];
    assert_eq!((&got["text"], &got["value"]), (&"d1:ai1ee\n".into(), &"OTpkMTphaTFlZQo=".into()), "{got}");
    network.fails(&["get", HASH], 3, &[HASH]);
}

#[test]
fn the_owner_of_a_key_replaces_its_values() {
    let folder = Folder::new("mainline-keys");
    let (network, key) = (Network::start(), folder.file("key"));
    let put = |more: &[&str]| {
        let told = network.done(&[&["put", "--key", &key, "--salt", "s"], more].concat());
        let [key, made, seq] = ["key", "key_made", "seq"].map(|field| told[0][field].clone());
        (key.as_str().unwrap().to_owned(), made == true, seq.as_i64().unwrap())
    };
    let (public, made, seq) = put(&["one"]);
    assert_eq!((made, seq), (true, 1));
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(put(&["two"]), (public.clone(), false, 2));
    assert_eq!(put(&["--seq", "7", "--cas", "2", "seven"]), (public.clone(), false, 7));
    let fails = |more: &[&str], says: &[&str]| {
        network.fails(&[&["put", "--key", &key, "--salt", "s"], more].concat(), 1, says);
    };
    fails(&["--seq", "8", "--cas", "2", "x"], &["sequence number 8", "301", "--cas"]);
    fails(&["--seq", "7", "other"], &["sequence number 7", "302", "--seq"]);
    let got = &network.done(&["get", &public, "--salt", "s"])[0];
    assert_eq!((&got["text"], &got["seq"], &got["salt"]), (&"seven".into(), &7.into(), &"s".into()), "{got}");
    network.fails(&["get", &public], 3, &[&public]);
}

#[test]
fn torrents_are_fetched_by_their_link_alone() {
    let folder = Folder::new("mainline-torrents");
    let network = Network::start();
    let pieces = "20 bytes for a piece".repeat(2_000);
    let info = format!("d6:lengthi9e4:name5:a.txt12:piece lengthi16384e6:pieces{}:{pieces}e", pieces.len());
    let (file, out) = (folder.write("in.torrent", &format!("d4:info{info}e")), folder.file("out.torrent"));
    let serving = Running::start(&[&["--json"][..], &network.with(&["serve", &file])].concat());
    let served = serving.line();
    let link = served["magnet"].as_str().unwrap();
    assert!(link.starts_with("magnet:?xt=urn:btih:") && link.ends_with("&dn=a.txt"), "{link}");
    let fetched = &network.done(&["metadata", link, "-o", &out])[0];
    assert_eq!((&fetched["name"], &fetched["bytes"]), (&"a.txt".into(), &info.len().into()), "{fetched}");
    assert_eq!(fetched["info_hashes"], served["info_hashes"]);
    assert_eq!(fs::read(&out).unwrap(), fs::read(&file).unwrap());
    assert_eq!((&fetched["trackers"], &fetched["magnet"]), (&json!([]), &json!(link)));

    let tracked = format!("{link}&tr=http%3A%2F%2Ft%2Fa&tr=udp%3A%2F%2Ft%3A1");
    let fetched = &network.done(&["metadata", &tracked, "-o", &out])[0];
    assert_eq!(fetched["trackers"], json!(["http://t/a", "udp://t:1"]));
    assert!(fetched["magnet"].as_str().unwrap().contains("&tr=udp"), "{fetched}");
    let trackers = "8:announce10:http://t/a13:announce-listll10:http://t/ael9:udp://t:1ee";
    assert_eq!(fs::read_to_string(&out).unwrap(), format!("d{trackers}4:info{info}e"));
    network.fails(&["metadata", HASH, "--timeout", "3s"], 3, &[HASH]);

    let harvest = folder.file("harvest.ndjson");
    let told = &network.done(&["harvest", "--for", "12s", "--out", &harvest])[0];
    assert_eq!((&told["swarms"], &told["metadata"]), (&1.into(), &1.into()), "{told}");
    let found: Value = serde_json::from_str(fs::read_to_string(&harvest).unwrap().trim()).unwrap();
    assert_eq!((&found["name"], &found["info_hash"]), (&"a.txt".into(), &served["info_hashes"][0]));

    let (code, took, _) = serving.end("-INT");
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_node_comes_back_from_its_file() {
    let folder = Folder::new("mainline-state");
    let (network, file) = (Network::start(), folder.file("state"));
    let node_with = |more: &[&str]| node(&[&["--state", &file], more].concat());
    let first = node_with(&["--bootstrap", &network.door]);
    let id = first.event("listening")["id"].clone();
    assert!(first.event("ready")["nodes"].as_u64().unwrap() > 0);
    let (code, took, last) = first.end("-TERM");
    assert_eq!((code, last), (Some(0), vec![json!({ "event": "closed" })]));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(fs::read(&file).unwrap().starts_with(b"dht-ml"));

    let again = node_with(&["--read-only"]);
    assert_eq!(again.event("listening")["id"], id);
    let remembered = again.event("restored")["nodes"].as_u64().unwrap();
    assert!(remembered > 0);
    assert!(again.event("ready")["nodes"].as_u64().unwrap() > 0);
    assert_eq!(again.end("-INT").0, Some(0));
    drop(network);

    // Nobody of them is there any more, and they stay in the file all the same.
    let alone = node_with(&[]);
    alone.event("listening");
    assert!(alone.event("restored")["nodes"].as_u64().unwrap() >= remembered);
    alone.end("-TERM");
    let alone = node_with(&[]);
    alone.event("listening");
    assert!(alone.event("restored")["nodes"].as_u64().unwrap() >= remembered);
}

#[test]
fn people_read_text() {
    let network = Network::start();
    let text = |arguments: &[&str]| stdout(&run(&network.with(arguments)));
    assert!(text(&["announce", HASH, "--once", "--seed"]).contains("stored by 3"));
    assert!(text(&["scrape", HASH]).contains("about 1 seeds"));
    assert_eq!(text(&["put", "hello"]).split(' ').next().map(str::len), Some(40));
    assert_eq!(network.nodes.len(), 3);
}
