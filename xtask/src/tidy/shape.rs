//! How a source file is built: it says first why it exists, and it can be read in one sitting.
//!
//! Functions are not measured here; a file that is too long shows the same fault earlier.

use std::collections::BTreeMap;

use super::{LONG_FILES, Text};

/// Lines of a source file before its tests.
const MAX_LINES: usize = 400;

/// Every Rust file opens with `//!`, but for unit tests that stand beside what they test: that is why they exist.
pub fn heads(texts: &[Text]) -> Vec<String> {
    let beside = |path: &str| path.contains("/src/") && is_test(path);
    let silent = |text: &&Text| !text.content.trim_start().starts_with("//!") && !beside(&text.path);
    let files = texts.iter().filter(|text| text.is_rust()).filter(silent);
    files
        .map(|text| format!("{}: opens without `//!`: say why it exists and what it does not do", text.path))
        .collect()
}

/// No source file is longer than the limit before its tests, unless `allowed` gives a reason: one `path | reason` per
/// line, `#` for remarks. An entry that is not needed is a fault too.
pub fn lengths(texts: &[Text], allowed: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut excused: BTreeMap<&str, bool> = BTreeMap::new();
    for line in allowed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (path, reason) = line.split_once('|').unwrap_or((line, ""));
        if reason.trim().len() < 10 {
            faults.push(format!("{LONG_FILES}: {} needs a reason (`path | reason`)", path.trim()));
        }
        excused.insert(path.trim(), false);
    }
    for text in texts.iter().filter(|text| text.is_rust() && !is_test(&text.path)) {
        let lines = before_tests(&text.content);
        if lines <= MAX_LINES {
            continue;
        }
        match excused.get_mut(text.path.as_str()) {
            Some(used) => *used = true,
            None => faults.push(format!(
                "{}: {lines} lines before its tests, {MAX_LINES} are the limit: look for the second duty that moved in",
                text.path
            )),
        }
    }
    let unused = excused.iter().filter(|(_, used)| !**used);
    faults.extend(unused.map(|(path, _)| format!("{LONG_FILES}: {path} is not longer than the limit")));
    faults
}

/// Whether the whole file is tests.
pub fn is_test(path: &str) -> bool {
    let folder = path.split('/').any(|part| part == "tests" || part == "benches");
    folder || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

fn before_tests(content: &str) -> usize {
    content
        .lines()
        .position(|line| line.starts_with("#[cfg(test)]"))
        .unwrap_or_else(|| content.lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, content: String) -> Text {
        Text { path: path.to_owned(), content }
    }

    #[test]
    fn a_file_says_why_it_exists() {
        assert!(heads(&[text("a.rs", "//! Why.\n".into()), text("a.toml", "x = 1".into())]).is_empty());
        assert!(heads(&[text("x/src/a_tests.rs", "use super::*;".into())]).is_empty());
        assert_eq!(heads(&[text("x/tests/network.rs", "use x::*;".into())]).len(), 1);
        assert_eq!(
            heads(&[text("a.rs", "use std::fmt;\n//! Late.".into()), text("b.rs", String::new())]).len(),
            2
        );
    }

    #[test]
    fn tests_do_not_count_as_length() {
        let tests = format!("//! Why.\n#[cfg(test)]\nmod tests {{\n{}}}", "\n".repeat(MAX_LINES));
        assert!(lengths(&[text("a.rs", tests)], "").is_empty());
        let sibling = text("x/src/tests.rs", "\n".repeat(MAX_LINES + 1));
        assert!(lengths(&[sibling], "").is_empty());
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        let long = || [text("x/a.rs", "\n".repeat(MAX_LINES + 1))];
        assert_eq!(lengths(&long(), "").len(), 1);
        assert_eq!(lengths(&long(), "x/a.rs |").len(), 1);
        assert!(lengths(&long(), "# remark\nx/a.rs | one table that is read as a whole").is_empty());
    }

    #[test]
    fn an_excuse_without_need_is_a_fault() {
        let short = [text("x/a.rs", "//! Why.".into())];
        assert_eq!(lengths(&short, "x/a.rs | one table that is read as a whole").len(), 1);
        assert_eq!(lengths(&short, "gone.rs | one table that is read as a whole").len(), 1);
    }
}
