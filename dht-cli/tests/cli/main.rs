//! The built program as its users meet it: what it says, in how many lines, and how it ends.
//!
//! Nodes run on loopback in private networks. Nothing waits for a fixed time: lines are read with a deadline.
#![cfg(unix)] // signals and file modes
#![allow(clippy::unwrap_used, reason = "what is missing here fails the test")]
#![allow(clippy::disallowed_methods, reason = "processes live in real time")]

mod harness;
mod mainline;
mod sim;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use harness::{Folder, Running, done, fails, program, run, stdout};

const PEER: &str = "12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8";
const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
const OTHER_CID: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

/// A node of a private network.
fn node(arguments: &[&str]) -> Running {
    Running::start(&[&["node"], arguments].concat())
}

/// The first server of a private network, and the address to join it through.
fn first() -> (Running, String) {
    let node = node(&["--network", "/test", "--mode", "server", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    let address = node.event("listening")["addr"].as_str().unwrap().to_owned();
    node.event("ready");
    (node, address)
}

/// Another server.
fn joined(through: &str, more: &[&str]) -> Running {
    let arguments = ["--network", "/test", "--mode", "server", "--bootstrap", through];
    let node = node(&[&arguments[..], &["--listen", "/ip4/127.0.0.1/tcp/0"], more].concat());
    node.event("listening");
    node.event("ready");
    node
}

#[test]
fn wrong_use_is_one_line_and_code_two() {
    let through = format!("/ip4/127.0.0.1/tcp/1/p2p/{PEER}");
    for (arguments, says) in [
        (&["nonsense"][..], &["nonsense", "--help"][..]),
        (&["get"], &["<KEY>"]),
        (&["get", "x"], &["`x`", "/ipns/k51"]),
        (&["get", "/v/x"], &["namespace `v`", "public network"]),
        (&["get", "/w/x", "--network", "/x", "--bootstrap", &through], &["`w`", "--namespace w"]),
        (&["get", "x", "--network", "foo"], &["--network", "foo", "/my-net"]),
        (&["get", "x", "--network", "/foo"], &["/foo", "--bootstrap /ip4/"]),
        (&["get", "x", "--bootstrap", "nonsense"], &["nonsense", "--bootstrap", "/p2p/12D3Koo"]),
        (&["get", "x", "--bootstrap", "/ip4/127.0.0.1/tcp/1"], &["--bootstrap", "/p2p/12D3Koo"]),
        (&["get", "x", "--timeout", "soon"], &["--timeout", "soon", "10s"]),
        (&["put", "/v/x", "y", "--namespace", "v"], &["records.namespaces", "private network"]),
        (&["find", "providers", "nope"], &["nope", "<CID>", "bafkrei"]),
        (&["find", "peer", "nope"], &["nope", "<ID>", "12D3Koo"]),
        (&["lookup", "?"], &["`?`", "peer id", "CID"]),
        (&["ipns", "resolve", "nope"], &["nope", "k51"]),
        (&["provide"], &["<CID>"]),
        (&["ping", "/ip4/127.0.0.1/tcp/1"], &["<ADDR>", "/p2p/12D3Koo"]),
        (&["node", "--listen", "4001"], &["4001", "--listen", "/ip4/0.0.0.0/tcp/4001"]),
        (&["node", "--mode", "boss"], &["boss", "auto", "client", "server"]),
        (&["demo", "--nodes", "2"], &["--nodes", "3..=200"]),
        (&["demo", "--nodes", "201"], &["--nodes", "3..=200"]),
        (&["demo", "--transport", "pigeon"], &["pigeon", "tcp", "quic", "memory"]),
        (&["demo", "--network", "gnutella"], &["gnutella", "ipfs", "mainline"]),
        (&["demo", "--network", "mainline", "--transport", "tcp"], &["UDP", "--network ipfs"]),
        (&["keygen", "--type", "dsa", "x"], &["dsa", "ed25519", "rsa"]),
        (&["--log", "a=b=c", "config", "check"], &["a=b=c", "info"]),
    ] {
        fails(arguments, 2, says);
    }
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    assert!(stdout(&run(&["--version"])).starts_with("dht "));
    assert!(stdout(&run(&["completions", "bash"])).contains("demo"));
}

#[test]
fn what_can_not_be_done_is_one_line_and_code_one() {
    let folder = Folder::new("failures");
    let through = format!("/ip4/127.0.0.1/tcp/1/p2p/{PEER}");
    let absent = folder.file("absent");
    let broken = folder.write("broken", "not a key");
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("/ip4/127.0.0.1/tcp/{}", held.local_addr().unwrap().port());
    for (arguments, says) in [
        (&["get", "x", "--network", "/x", "--bootstrap", &through][..], &["/x", PEER, "--bootstrap"][..]),
        (&["node", "--network", "/x", "--listen", &taken], &[&taken[..], "in use", "--listen"]),
        (&["node", "--network", "/x", "--identity", &absent], &[&absent[..], "dht keygen"]),
        (&["node", "--network", "/x", "--identity", &broken], &[&broken[..], "dht keygen"]),
        (&["ipns", "publish", "--identity", &absent, "x"], &[&absent[..], "dht keygen"]),
        (&["--config", &absent, "config", "check"], &[&absent[..]]),
        (&["ping", &through], &["/ip4/127.0.0.1/tcp/1", PEER]),
        (&["id", &through], &["/ip4/127.0.0.1/tcp/1", PEER]),
        (&["put", "x", &format!("@{absent}"), "--network", "/x", "--bootstrap", &through], &[&absent[..]]),
    ] {
        fails(arguments, 1, says);
    }
    // A node that can not join has said where it listens, which is not an error.
    let arguments = ["node", "--network", "/x", "--listen", "/ip4/127.0.0.1/tcp/0", "--bootstrap", &through];
    fails(&arguments, 1, &["/x", PEER, "--bootstrap"]);
}

#[test]
fn options_are_shown_with_their_source_and_checked() {
    let folder = Folder::new("config");
    let good = folder.write("good.toml", "[query]\nalpha = 5\n");
    let shown = done(&["--config", &good, "config", "show", "--network", "/x"]);
    let source = |option: &str| {
        let line = shown.iter().find(|line| line["option"] == option).unwrap();
        (line["value"].clone(), line["source"].clone())
    };
    assert_eq!(source("query.alpha"), ("5".into(), format!("{good}:2").into()));
    assert_eq!(source("network.name"), ("\"/x\"".into(), "--network".into()));
    assert_eq!(source("query.beta"), ("3".into(), "default".into()));
    assert_eq!(source("records.namespaces"), ("[\"v\"]".into(), "private network".into()));
    let text = stdout(&run(&["--config", &good, "config", "show"]));
    assert!(
        text.lines().any(|line| line.starts_with("query.alpha ") && line.ends_with("good.toml:2")),
        "{text}"
    );
    assert_eq!(done(&["--config", &good, "config", "check"])[0]["ok"], true);

    let from_environment =
        program(&["--json", "config", "show"]).env("DHT_QUERY__ALPHA", "7").output().unwrap();
    assert!(stdout(&from_environment).contains(r#""value":"7","source":"DHT_QUERY__ALPHA""#));

    let check = |content: &str, says: &[&str]| {
        let file = folder.write("bad.toml", content);
        fails(&["--config", &file, "config", "check"], 2, says);
    };
    check("[query]\nalhpa = 5\n", &["bad.toml:2", "query.alhpa", "`query.alpha`"]);
    check("[query]\nalpha = \"five\"\n", &["bad.toml:2", "query.alpha", "whole number"]);
    check("[query\n", &["bad.toml:1", "TOML"]);
    check(
        "[bootstrap]\npeers = [\"/ip4/1.2.3.4/tcp/1/p2p/x\"]\n",
        &["bad.toml:2", "bootstrap.peers", "12D3Koo"],
    );
    check(
        "[network]\nlisten = [\"/nonsense\"]\n",
        &["bad.toml:2", "network.listen", "/ip4/0.0.0.0/tcp/4001"],
    );
    let broken = folder.write("broken.key", "not a key");
    fails(&["config", "check", "--identity", &broken], 1, &[&broken, "dht keygen"]);
}

#[test]
fn keys_of_every_kind_are_identities_and_are_never_overwritten() {
    let folder = Folder::new("keys");
    for kind in ["ed25519", "secp256k1", "ecdsa", "rsa"] {
        let file = folder.file(kind);
        let made = &done(&["keygen", "--type", kind, &file])[0];
        let peer = made["peer"].as_str().unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read(&file).unwrap();
        fails(&["keygen", "--type", kind, &file], 1, &[&file, "not overwritten"]);
        assert_eq!(fs::read(&file).unwrap(), before);

        let node = node(&[
            "--network",
            "/test",
            "--mode",
            "server",
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--identity",
            &file,
        ]);
        let address = node.event("listening")["addr"].as_str().unwrap().to_owned();
        assert!(address.ends_with(&format!("/p2p/{peer}")), "{address}");
        assert_eq!(node.event("ready")["peer"], peer);
        let id = &done(&["id", &address, "--network", "/test"])[0];
        assert_eq!((&id["peer"], &id["serves"]), (&Value::from(peer), &Value::from(true)), "{id}");
        assert!(address.starts_with(id["addrs"][0].as_str().unwrap()), "{id}");
        // The same host on another network is there and does not serve.
        let other = &done(&["id", &address, "--network", "/other"])[0];
        assert_eq!((&other["peer"], &other["serves"]), (&Value::from(peer), &Value::from(false)), "{other}");
    }
}

#[test]
fn a_node_says_where_it_is_and_ends_within_two_seconds() {
    for signal in ["-TERM", "-INT"] {
        let (node, address) = first();
        let pongs = done(&["ping", &address, "-c", "2"]);
        assert_eq!(pongs.len(), 2);
        assert!(pongs.iter().all(|pong| pong["rtt_ms"].as_f64().unwrap() > 0.0));
        let (code, took, last) = node.end(signal);
        assert_eq!((code, &last[0]["event"]), (Some(0), &"closed".into()));
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

/// Two servers, and questions to their network.
struct Network {
    address: String,
    second: Running,
    _first: Running,
}

impl Network {
    fn start(more: &[&str]) -> Self {
        let (first, address) = first();
        Self { second: joined(&address, more), address, _first: first }
    }

    fn with<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let network = ["--network", "/test", "--bootstrap", &self.address, "--timeout", "30s"];
        [arguments, &network].concat()
    }

    fn done(&self, arguments: &[&str]) -> Vec<Value> {
        done(&self.with(arguments))
    }

    fn fails(&self, arguments: &[&str], code: i32, says: &[&str]) {
        fails(&self.with(arguments), code, says);
    }
}

#[test]
fn values_are_put_and_got_as_they_are() {
    let folder = Folder::new("values");
    let network = Network::start(&[]);
    assert_eq!(network.done(&["put", "/v/name", "value"])[0]["stored"], 2);
    assert_eq!(network.done(&["get", "/v/name"])[0]["value"], "dmFsdWU=");
    assert_eq!(network.done(&["get", "name"])[0]["key"], "/v/name");

    let mut put = program(&network.with(&["put", "bytes", "-"])).stdin(Stdio::piped()).spawn().unwrap();
    put.stdin.take().unwrap().write_all(b"\x00\xff\n").unwrap();
    assert!(put.wait().unwrap().success());
    assert_eq!(run(&network.with(&["get", "bytes"])).stdout, b"\x00\xff\n");

    let (file, out) = (folder.write("value", "from a file"), folder.file("out"));
    network.done(&["put", "file", &format!("@{file}")]);
    network.done(&["get", "file", "--out", &out]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "from a file");

    network.fails(&["get", "missing"], 3, &["/v/missing"]);
    network.fails(&["put", &format!("/pk/{PEER}"), "not a key"], 1, &["/pk/", "not valid"]);
}

#[test]
fn names_are_published_with_a_sequence_one_above_the_last() {
    let folder = Folder::new("names");
    let network = Network::start(&[]);
    let key = folder.file("key");
    let name = done(&["keygen", "--type", "ecdsa", &key])[0]["name"].as_str().unwrap().to_owned();
    for (sequence, value) in [(0, "/ipfs/one"), (1, "/ipfs/two")] {
        let published = &network.done(&["ipns", "publish", "--identity", &key, value])[0];
        assert_eq!((&published["sequence"], &published["stored"]), (&sequence.into(), &2.into()));
        let resolved = &network.done(&["ipns", "resolve", &name])[0];
        assert_eq!((&resolved["value"], &resolved["sequence"]), (&value.into(), &sequence.into()));
    }
    let older = ["ipns", "publish", "--identity", &key, "--sequence", "0", "/ipfs/zero"];
    network.fails(&older, 1, &[&name, "sequence 0"]);
    network.done(&[
        "ipns",
        "publish",
        "--identity",
        &key,
        "--sequence",
        "7",
        "--lifetime",
        "1h",
        "/ipfs/seven",
    ]);
    assert_eq!(network.done(&["ipns", "resolve", &format!("/ipns/{name}")])[0]["sequence"], 7);
    network.fails(&["ipns", "resolve", PEER], 3, &["nobody"]);
}

#[test]
fn content_and_peers_are_found() {
    let network = Network::start(&["--provide", CID]);
    let provided = network.second.event("provided");
    assert_eq!((&provided["cid"], &provided["stored"]), (&CID.into(), &1.into()), "{provided}");
    assert_eq!(network.done(&["find", "providers", CID]).len(), 1);
    network.fails(&["find", "providers", OTHER_CID], 3, &[OTHER_CID]);
    let provide = ["provide", OTHER_CID, "--once", "--listen", "/ip4/127.0.0.1/tcp/0"];
    assert_eq!(network.done(&provide)[0]["stored"], 2);
    let found = network.done(&["find", "providers", OTHER_CID, "-n", "1"]);
    assert_eq!(found[0]["addrs"].as_array().unwrap().len(), 1, "{found:?}");

    let closest = network.done(&["find", "closest", CID]);
    assert_eq!(closest.len(), 2);
    let is_second = |peer: &&Value| !network.address.ends_with(peer["peer"].as_str().unwrap());
    let second = closest.iter().find(is_second).unwrap();
    assert_eq!(&network.done(&["find", "peer", second["peer"].as_str().unwrap()])[0], second);
    network.fails(&["find", "peer", PEER], 3, &[PEER]);
    let id = &network.done(&["id", second["peer"].as_str().unwrap()])[0];
    assert_eq!((&id["peer"], &id["serves"]), (&second["peer"], &true.into()));

    let steps = network.done(&["lookup", CID, "--trace"]);
    let count = |what: &str| steps.iter().filter(|step| step["step"] == what).count();
    assert_eq!((count("asked"), count("answered"), steps.len()), (2, 2, 6), "{steps:?}");
    assert_eq!(network.done(&["lookup", CID]).len(), 2);
}

#[test]
fn provide_announces_until_it_is_told_to_end() {
    let (_first, address) = first();
    let mut child = program(&[
        "--json",
        "provide",
        CID,
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--network",
        "/test",
        "--bootstrap",
        &address,
    ])
    .spawn()
    .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&told["cid"], &told["stored"]), (&CID.into(), &1.into()));
    assert!(child.try_wait().unwrap().is_none());
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn the_demonstration_holds() {
    for arguments in [
        &["--transport", "memory", "--nodes", "8"][..],
        &["--nodes", "6"],
        &["--network", "mainline", "--nodes", "10"],
    ] {
        let steps = done(&[&["demo"], arguments].concat());
        let (last, steps) = steps.split_last().unwrap();
        assert!(steps.iter().all(|step| step["ok"] == true), "{steps:?}");
        assert_eq!((&last["ok"], &last["steps"]), (&true.into(), &steps.len().into()));
        assert!(steps.iter().any(|step| step["step"] == "stop a third at once"));
    }
}
