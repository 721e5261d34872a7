//! Names that say nothing: a name that says what a thing is says what does not belong in it.
//!
//! Judges the names of types and of files, not of functions or fields.

use super::Text;

const TYPE_ENDINGS: [&str; 7] = ["Manager", "Helper", "Helpers", "Util", "Utils", "Data", "Info"];
const FILE_NAMES: [&str; 6] = ["manager", "helper", "helpers", "util", "utils", "misc"];
const KEYWORDS: [&str; 5] = ["struct", "enum", "trait", "type", "union"];

/// Types and files with such a name.
pub fn names(texts: &[Text]) -> Vec<String> {
    let mut faults = Vec::new();
    for text in texts.iter().filter(|text| text.is_rust()) {
        let stem = text.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if FILE_NAMES.contains(&stem) {
            faults.push(format!("{}: a file's name says what is in it", text.path));
        }
        for (number, line) in text.content.lines().enumerate() {
            if let Some(name) = declared(line)
                && let Some(ending) = TYPE_ENDINGS.iter().find(|ending| name.ends_with(**ending))
            {
                faults.push(format!(
                    "{}:{}: `{name}` ends in {ending}; name what it is",
                    text.path,
                    number + 1
                ));
            }
        }
    }
    faults
}

/// The type that a line declares. Associated types are left out: their names come from somebody else's trait.
fn declared(line: &str) -> Option<&str> {
    if line.starts_with(' ') && line.trim_start().starts_with("type ") {
        return None;
    }
    let mut words = line.split_whitespace().peekable();
    if words.peek().is_some_and(|word| word.starts_with("pub")) {
        words.next();
    }
    if !words.next().is_some_and(|word| KEYWORDS.contains(&word)) {
        return None;
    }
    let rest = words.next()?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, content: &str) -> usize {
        names(&[Text { path: path.to_owned(), content: content.to_owned() }]).len()
    }

    #[test]
    fn names_that_say_what_a_thing_is_pass() {
        assert_eq!(
            faults(
                "routing.rs",
                "pub struct Routing<O> {\ntype Database = u8;\nlet info = 1; // Info\n    type Info = u8;"
            ),
            0
        );
    }

    #[test]
    fn names_that_say_nothing_fail() {
        let of = |ending: &str| format!("pub(crate) struct Network{ending}<O>(O);\n    enum X{ending} {{");
        for ending in TYPE_ENDINGS {
            assert_eq!(faults("routing.rs", &of(ending)), 2, "{ending}");
        }
        assert_eq!(faults("dht/src/util.rs", "//! Why."), 1);
    }
}
