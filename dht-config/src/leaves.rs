//! Settings as a flat list: `query.alpha` and its value, one entry per option. Layers are laid over one another in this
//! form, because that is where "which file said so" has a meaning.
//!
//! Nothing here knows an option by name; the list of options is read off [`Settings`] itself.

use std::{collections::BTreeMap, path::PathBuf, sync::LazyLock, time::Duration};

use serde::Deserialize;
use toml::{Table, Value};

use crate::Settings;

/// An option's path, such as `query.alpha`, and its value.
pub type Leaves = BTreeMap<String, Value>;

/// Every option with a value of its kind, options without a default included.
pub static OPTIONS: LazyLock<Leaves> = LazyLock::new(|| {
    let mut settings = Settings::default();
    settings.network.identity = Some(PathBuf::from("identity.key"));
    settings.routing.stale_after = Some(Duration::from_secs(1));
    flatten(&table(&settings))
});

/// The settings as a table.
pub fn table(settings: &Settings) -> Table {
    Table::try_from(settings).expect("every field is a string, number, switch, list or section of those")
}

/// The options in a table. A table inside a section stays one value, so that it can be named as wrong.
pub fn flatten(table: &Table) -> Leaves {
    let mut leaves = Leaves::new();
    for (section, value) in table {
        match value {
            Value::Table(section_table) if !section_table.is_empty() => {
                for (key, value) in section_table {
                    leaves.insert(format!("{section}.{key}"), value.clone());
                }
            }
            other => {
                leaves.insert(section.clone(), other.clone());
            }
        }
    }
    leaves
}

/// The settings that these options make, the rest at their defaults.
pub fn unflatten(leaves: &Leaves) -> Result<Settings, String> {
    let mut table = Table::new();
    for (option, value) in leaves {
        match option.split_once('.') {
            Some((section, key)) => {
                let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(section) = section {
                    section.insert(key.to_owned(), value.clone());
                }
            }
            None => {
                table.insert(option.clone(), value.clone());
            }
        }
    }
    Settings::deserialize(Value::Table(table)).map_err(|error| error.message().to_owned())
}

/// Whether the value is of the option's kind; what would be right otherwise.
pub fn check(option: &str, value: &Value) -> Result<(), String> {
    let Err(message) = unflatten(&Leaves::from([(option.to_owned(), value.clone())])) else { return Ok(()) };
    if message.starts_with("unknown variant") {
        return Err(message.split_once("expected ").map_or(message.clone(), |(_, what)| what.to_owned()));
    }
    Err(expected(option).to_owned())
}

/// An option's value out of text, as it stands in the environment or behind a flag.
pub fn parse(option: &str, text: &str) -> Result<Value, String> {
    let fault = || expected(option).to_owned();
    match OPTIONS.get(option) {
        Some(Value::Integer(_)) => text.trim().parse().map(Value::Integer).map_err(|_| fault()),
        Some(Value::Float(_)) => text.trim().parse().map(Value::Float).map_err(|_| fault()),
        Some(Value::Boolean(_)) => match text.trim() {
            "true" | "yes" | "on" | "1" => Ok(Value::Boolean(true)),
            "false" | "no" | "off" | "0" => Ok(Value::Boolean(false)),
            _ => Err(fault()),
        },
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn expected(option: &str) -> &'static str {
    match OPTIONS.get(option) {
        Some(Value::Integer(_)) => "a whole number, zero or more",
        Some(Value::Float(_)) => "a number",
        Some(Value::Boolean(_)) => "true or false",
        Some(Value::Array(_)) => "a list of texts, such as [\"a\", \"b\"]",
        Some(Value::String(text)) if humantime_serde::re::humantime::parse_duration(text).is_ok() => {
            "a duration, such as \"500ms\", \"10s\" or \"48h\""
        }
        Some(Value::Table(_)) | None => "a section",
        Some(_) => "a text",
    }
}

/// The option that somebody who wrote this probably meant.
pub fn nearest(written: &str) -> Option<String> {
    let last = |option: &str| option.rsplit('.').next().unwrap_or_default().to_owned();
    let sections = OPTIONS.keys().filter_map(|option| option.split_once('.').map(|(section, _)| section));
    // The right name in the wrong section, or in none, is nearer than any spelling.
    if let Some(option) = OPTIONS.keys().find(|option| last(option) == last(written)) {
        return Some(option.clone());
    }
    let distance = |known: &str| {
        let whole = strsim::damerau_levenshtein(known, written);
        whole.min(1 + strsim::damerau_levenshtein(&last(known), &last(written)))
    };
    let best = OPTIONS.keys().map(String::as_str).chain(sections).min_by_key(|known| distance(known))?;
    (distance(best) <= 1 + written.len() / 4).then(|| best.to_owned())
}
