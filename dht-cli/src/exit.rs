//! How the program ends: four exit codes, and one line on stderr that says why.

use std::{
    fmt::Display,
    io::{self, Write},
};

use anyhow::Error;
use thiserror::Error as ThisError;

/// It could not be done.
pub const FAILED: u8 = 1;
/// It was asked for in a way that cannot be right.
pub const USAGE: u8 = 2;
/// The network was asked and has no such thing.
pub const NOT_FOUND: u8 = 3;

/// What was typed or configured cannot be right.
#[derive(Debug, ThisError)]
#[error("{0}")]
pub struct Usage(String);

/// Nobody has it.
#[derive(Debug, ThisError)]
#[error("{0}")]
pub struct NotFound(String);

/// An error that ends in [`USAGE`].
pub fn usage(message: impl Display) -> Error {
    Usage(message.to_string()).into()
}

/// An error that ends in [`NOT_FOUND`].
pub fn not_found(message: impl Display) -> Error {
    NotFound(message.to_string()).into()
}

/// The code that an error ends in.
pub fn code(error: &Error) -> u8 {
    if error.is::<Usage>() {
        USAGE
    } else if error.is::<NotFound>() {
        NOT_FOUND
    } else {
        FAILED
    }
}

/// Whether the reader of our output has gone, as `head` does when it has seen enough. That is no failure.
pub fn is_broken_pipe(error: &Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// One line on stderr. Whoever does not want to hear it, or has no room for it, changes nothing by that.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "dht: {line}");
}

/// The error with its causes in one line.
pub fn line(error: &Error) -> String {
    one_line(&format!("{error:#}"))
}

/// What the parser of the command line says, in one line: its first paragraph, without the hints below it.
pub fn parser_line(rendered: &str) -> String {
    let first = rendered.split("\n\n").next().unwrap_or_default();
    one_line(first.strip_prefix("error: ").unwrap_or(first))
}

fn one_line(text: &str) -> String {
    // What stands between the words of a line may belong to a file's name.
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn every_kind_of_error_has_its_code() {
        assert_eq!(code(&usage("x")), USAGE);
        assert_eq!(code(&not_found("x")), NOT_FOUND);
        assert_eq!(code(&anyhow::anyhow!("x")), FAILED);
        assert_eq!(code(&usage("x").context("y")), USAGE);
    }

    #[test]
    fn whatever_is_said_fits_in_a_line() {
        let error = Err::<(), _>(usage("one\n two")).context("three").unwrap_err();
        assert_eq!(line(&error), "three: one two");
        assert_eq!(line(&usage("run `dht sim 'a  b'`")), "run `dht sim 'a  b'`");
        let rendered = "error: the following are missing:\n  <KEY>\n  <VALUE>\n\nUsage: dht put\n";
        assert_eq!(parser_line(rendered), "the following are missing: <KEY> <VALUE>");
    }

    #[test]
    fn a_reader_that_left_is_told_from_a_failure() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&Error::from(gone).context("writing")));
        assert!(!is_broken_pipe(&usage("x")));
    }
}
