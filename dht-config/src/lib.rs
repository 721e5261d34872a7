//! Configuration as text: TOML and environment, with the source of every value
