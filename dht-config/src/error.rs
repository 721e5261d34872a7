//! What can be wrong with a configuration, each in one line: the place, the option, and what would be right.

use std::path::PathBuf;

use dht_core::ErrorKind;
use thiserror::Error;

use crate::{Source, UnknownPreset};

/// Why a configuration was not accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{place}: not valid TOML: {message}")]
    Syntax {
        /// File and line.
        place: Source,
        /// What the parser says.
        message: String,
    },
    /// There is no such option.
    #[error("{place}: there is no option `{option}`{}", hint(nearest.as_deref()))]
    Unknown {
        /// Where it stands.
        place: Source,
        /// What was written.
        option: String,
        /// The option that was probably meant.
        nearest: Option<String>,
    },
    /// A value is of the wrong kind or cannot be read.
    #[error("{place}: `{option}` is {value}: {expected}")]
    Value {
        /// Where it stands.
        place: Source,
        /// The option.
        option: String,
        /// What was written.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A value breaks a rule, its own or one with another option.
    #[error("{place}: {fault}")]
    Invalid {
        /// Where the value came from.
        place: Source,
        /// Which option, and what would be right.
        fault: InvalidOption,
    },
    /// There is no such preset.
    #[error("{place}: {cause}")]
    Preset {
        /// Where it was named.
        place: Source,
        /// What was named and what there is.
        cause: UnknownPreset,
    },
}

impl ConfigError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Configuration
    }

    /// The option that is wrong, where it is about one.
    pub fn option(&self) -> Option<&str> {
        match self {
            Self::Unknown { option, .. } | Self::Value { option, .. } => Some(option),
            Self::Invalid { fault, .. } => Some(&fault.option),
            Self::Preset { .. } => Some("preset"),
            Self::Read { .. } | Self::Syntax { .. } => None,
        }
    }
}

/// An option has a value that it must not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{option}` is {value}: {rule}")]
pub struct InvalidOption {
    /// The option as TOML spells it, such as `query.alpha`.
    pub option: String,
    /// The value.
    pub value: String,
    /// What would be right.
    pub rule: String,
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}
