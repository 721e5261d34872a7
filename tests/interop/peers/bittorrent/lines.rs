//! The line protocol of the BitTorrent peers (see `../../README.md`), for the wrappers that are written in Rust. Each
//! request runs in a thread of its own.

use std::{
    io::{BufRead, Write},
    net::{SocketAddr, UdpSocket},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use ::base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// No operation may outlive this: a test that waits longer has failed anyway.
const DEADLINE: Duration = Duration::from_secs(29);

/// What an operation answers: fields of the answer line, or the text of its error.
pub type Outcome = Result<Value, String>;

/// What the library can not do. The README tells the reason.
pub fn unsupported() -> Outcome {
    Err("unsupported".into())
}

pub struct Arguments {
    pub listen: SocketAddr,
    pub server: bool,
    pub bootstrap: Vec<SocketAddr>,
}

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let listen = "127.0.0.1:0".parse().expect("the constant is an address");
        let mut arguments = Self { listen, server: true, bootstrap: Vec::new() };
        while let Some(name) = words.next() {
            let value = words.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--listen" => arguments.listen = address(&value)?,
                "--mode" => arguments.server = value != "client",
                "--bootstrap" => {
                    let each = value.split(',').filter(|word| !word.is_empty());
                    arguments.bootstrap = each.map(address).collect::<Result<_, _>>()?;
                }
                "--dir" => {} // neither of these writes anything
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        if arguments.listen.port() == 0 {
            arguments.listen = free(arguments.listen)?;
        }
        Ok(arguments)
    }
}

/// A port that nobody uses now. The library binds it again, also after a restart.
fn free(listen: SocketAddr) -> Result<SocketAddr, String> {
    UdpSocket::bind(listen).and_then(|socket| socket.local_addr()).map_err(|error| error.to_string())
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

pub fn text<'a>(request: &'a Value, field: &str) -> Result<&'a str, String> {
    request[field].as_str().ok_or(format!("{field} is missing"))
}

pub fn digest(request: &Value, field: &str) -> Result<[u8; 20], String> {
    hexadecimal(text(request, field)?)?.try_into().map_err(|_| format!("{field} has not 20 bytes"))
}

pub fn hexadecimal(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap_or_default());
    pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(|error| format!("{digits}: {error}"))).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(dead_code, reason = "one of the two wrappers carries no bytes")]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[allow(dead_code, reason = "one of the two wrappers carries no bytes")]
pub fn bytes(request: &Value, field: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text(request, field)?).map_err(|error| format!("{field}: {error}"))
}

/// Says that the peer is ready, and answers until `quit` or the end of stdin.
pub fn serve(
    ready: Value,
    operation: impl Fn(&Value) -> Outcome + Send + Sync + 'static,
) -> Result<(), String> {
    let operation = Arc::new(operation);
    write(&ready);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let request: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        if request["op"] == "quit" {
            write(&answer(&request, Ok(json!({}))));
            break;
        }
        let operation = operation.clone();
        thread::spawn(move || {
            let (tell, told) = mpsc::channel();
            let asked = request.clone();
            // A receiver that has gone stopped waiting.
            thread::spawn(move || drop(tell.send(operation(&asked))));
            let late = |_| Err("no answer within 29 s, or the operation panicked".into());
            write(&answer(&request, told.recv_timeout(DEADLINE).unwrap_or_else(late)));
        });
    }
    // Operations that still run hold nothing worth waiting for.
    std::process::exit(0)
}

fn answer(request: &Value, outcome: Outcome) -> Value {
    let mut line = match outcome {
        Ok(mut fields) => {
            fields["ok"] = true.into();
            fields
        }
        Err(error) => json!({ "ok": false, "error": error }),
    };
    line["id"] = request["id"].clone();
    line
}

fn write(line: &Value) {
    let mut out = std::io::stdout().lock();
    // When nobody reads any more, stdin ends too and the program with it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
