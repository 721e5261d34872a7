//! The scenarios that come with this crate, so that whoever has only the program can run them.
//!
//! They are kept as text: which format a scenario is read from is the business of whoever reads it.

use include_dir::{Dir, include_dir};

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/scenarios");

/// The committed scenarios, in TOML, by the names of their files without the ending: `09-churn-48h`.
pub fn shipped() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = FOLDER
        .files()
        .filter_map(|file| Some((file.path().to_str()?.strip_suffix(".toml")?, file.contents_utf8()?)))
        .collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_comes_along() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let names: Vec<String> = shipped().iter().map(|(name, _)| format!("{name}.toml")).collect();
        assert_eq!(names, files);
        assert!(shipped().iter().all(|(_, text)| text.contains("name = ")));
    }
}
