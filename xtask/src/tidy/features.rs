//! Keeps `docs/features.md` true: what a row names exists.
//!
//! Whether the test shows what the row says is for people to judge.

use std::collections::BTreeSet;

use super::{FEATURES, Text};

/// Faults of the table `| id | what | where | test |`: every row names in backticks at least one file or folder that exists
/// and at least one test function that exists, and has an id of its own. A test is written `name`, or `file::name` where
/// the name alone does not say enough.
pub fn rows(table: &str, texts: &[Text]) -> Vec<String> {
    let tests = tests(texts);
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for row in table.lines().filter_map(Row::read) {
        let mut fault = |what: String| faults.push(format!("{FEATURES}: {}: {what}", row.id));
        if !seen.insert(row.id) {
            fault("has a second row".to_owned());
        }
        if row.places.is_empty() {
            fault("names no place".to_owned());
        }
        if row.tests.is_empty() {
            fault("names no test; without one it is not done".to_owned());
        }
        for place in row.places.iter().filter(|place| !exists(place, texts)) {
            fault(format!("there is no `{place}`"));
        }
        for test in &row.tests {
            let name = test.rsplit("::").next().unwrap_or_default();
            if !tests.contains(name) {
                fault(format!("there is no test `{test}`"));
            }
        }
    }
    faults
}

struct Row<'a> {
    id: &'a str,
    places: Vec<&'a str>,
    tests: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut cells = line.trim().strip_prefix('|')?.split('|').map(str::trim);
        let (id, _, place, test) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        // `A12`, or `B sizes` where one letter has several rows.
        let number =
            id.split(' ').next().unwrap_or_default().strip_prefix(|c: char| c.is_ascii_uppercase())?;
        let is_id = number.chars().all(|c| c.is_ascii_digit());
        is_id.then(|| Self { id, places: quoted(place), tests: quoted(test) })
    }
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn exists(place: &str, texts: &[Text]) -> bool {
    let folder = format!("{}/", place.trim_end_matches('/'));
    texts.iter().any(|text| text.path == place || text.path.starts_with(&folder))
}

/// The names of all test functions: those below an attribute that ends in `test`, and those inside `proptest!`.
fn tests(texts: &[Text]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for text in texts.iter().filter(|text| text.is_rust()) {
        let mut marked = false;
        for line in text.content.lines().map(str::trim) {
            if let Some(attribute) = line.strip_prefix("#[") {
                let path = attribute.split(['(', ']']).next().unwrap_or_default();
                marked |= path.rsplit("::").next() == Some("test");
            } else if let Some(name) = function(line) {
                if marked {
                    names.insert(name);
                }
                marked = false;
            }
        }
    }
    names
}

fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ").unwrap_or(line);
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(table: &str) -> Vec<String> {
        let source = "#[test]\nfn joins() {}\n#[tokio::test(start_paused = true)]\nasync fn leaves() {}\nfn joining() {}";
        let texts = [
            Text { path: "dht/src/lib.rs".to_owned(), content: source.to_owned() },
            Text { path: "README.md".to_owned(), content: String::new() },
        ];
        rows(table, &texts)
    }

    #[test]
    fn rows_that_name_what_exists_pass() {
        let table = "| id | what | where | test |\n|---|---|---|---|\n\
                     | A1 | joins | `dht/src/lib.rs` | `joins` |\n| G rates | all | `dht/src` | `lib::leaves`, `joins` |";
        assert!(faults(table).is_empty(), "{:?}", faults(table));
    }

    #[test]
    fn a_missing_file_is_named() {
        assert_eq!(faults("| A1 | joins | `dht/src/join.rs` | `joins` |").len(), 1);
    }

    #[test]
    fn a_function_that_is_no_test_does_not_count() {
        assert_eq!(faults("| A1 | joins | `dht/src` | `joining` |").len(), 1);
    }

    #[test]
    fn a_row_without_place_test_or_own_id_is_not_done() {
        assert_eq!(faults("| A1 | joins | – | – |").len(), 2);
        let twice = "| A1 | joins | `dht/src` | `joins` |\n";
        assert_eq!(faults(&twice.repeat(2)).len(), 1);
    }
}
