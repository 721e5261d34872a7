//! Runs the built program: to its end, or until it is told to end.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longer than anything here takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A folder of its own, gone when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dht-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.0.join(name), content).unwrap();
        self.file(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dht"));
    // Whoever runs the tests may have options of their own.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DHT_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs to a good end and reads what was said, line by line.
pub fn done(arguments: &[&str]) -> Vec<Value> {
    let output = run(&[&["--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs to a bad end with this code, and one line that says all of this.
pub fn fails(arguments: &[&str], code: i32, says: &[&str]) {
    let output = run(arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
    for word in says {
        assert!(said.contains(word), "{arguments:?} does not say `{word}`: {said}");
    }
}

/// A program that runs, and the lines it says.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = program(arguments).stderr(Stdio::inherit()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(1024);
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line.
    pub fn line(&self) -> Value {
        let line = self.lines.recv_timeout(DEADLINE).expect("it says something");
        serde_json::from_str(&line).unwrap()
    }

    /// The next line, which must be this event.
    pub fn event(&self, name: &str) -> Value {
        let event = self.line();
        assert_eq!(event["event"], name, "{event}");
        event
    }

    /// Sends a signal and waits for the end: the exit code, how long it took, and what was said meanwhile.
    pub fn end(mut self, signal: &str) -> (Option<i32>, Duration, Vec<Value>) {
        let start = Instant::now();
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut last = Vec::new();
        // The lines end with the process.
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            last.push(serde_json::from_str(&line).unwrap());
        }
        let status = self.child.wait().unwrap();
        (status.code(), start.elapsed(), last)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
