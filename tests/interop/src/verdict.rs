//! How a check ends: it held, it did not (what was expected, what came), or it can not be made with this peer.

use std::fmt::Display;

use tokio::time::{Duration, Instant, sleep};

/// Between two looks at something that is to change.
const GLANCE: Duration = Duration::from_millis(40);
/// What has not happened by then will not.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// Why a check did not run to its end.
#[derive(Clone, Debug)]
pub enum Stop {
    /// Something else came than what was expected.
    Wrong { expected: String, got: String },
    /// The peer can not do its part; says why.
    Skipped(String),
}

/// What a check, or a step of one, returns.
pub type Outcome<T = ()> = Result<T, Stop>;

/// One cell of the table.
#[derive(Clone, Debug)]
pub enum Verdict {
    Held,
    Failed { expected: String, got: String },
    Skipped(String),
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Self::Held,
            Err(Stop::Wrong { expected, got }) => Self::Failed { expected, got },
            Err(Stop::Skipped(reason)) => Self::Skipped(reason),
        }
    }
}

/// A step that went otherwise.
pub fn wrong(expected: impl Display, got: impl Display) -> Stop {
    Stop::Wrong { expected: expected.to_string(), got: got.to_string() }
}

/// Ends a check unless `holds`.
pub fn ensure(holds: bool, expected: impl Display, got: impl Display) -> Outcome {
    if holds { Ok(()) } else { Err(wrong(expected, got)) }
}

/// Says what was expected of something that failed.
pub trait Expected<T> {
    /// The value, or a [`Stop`] with the error as what came.
    fn expected(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Display> Expected<T> for Result<T, E> {
    fn expected(self, what: impl Display) -> Outcome<T> {
        self.map_err(|error| wrong(what, error))
    }
}

/// Looks again and again until `probe` returns something; its last complaint is what came instead.
pub async fn eventually<T>(
    expected: impl Display,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> Outcome<T> {
    let end = Instant::now() + patience;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(got) if Instant::now() >= end => {
                return Err(wrong(format!("{expected} within {patience:?}"), got));
            }
            Err(_) => sleep(GLANCE).await,
        }
    }
}
