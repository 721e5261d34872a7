//! Words that must not be committed: left-over notes, paths of somebody's machine, registries that are not the public ones.
//!
//! The words are written in halves here, because this file is judged too.

use super::Text;

/// A note to oneself, with the reason why it does not land.
const NOTES: [(&str, &str); 5] = [
    (concat!("TO", "DO"), "a note nobody owns; do it or open an issue"),
    (concat!("FIX", "ME"), "a note nobody owns; fix it or open an issue"),
    (concat!("XX", "X"), "a note nobody owns"),
    (concat!("for", " now"), "nothing half-built lands; say what holds"),
    (concat!("For", " now"), "nothing half-built lands; say what holds"),
];

/// Beginnings of paths that exist on one machine only.
const PATHS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tm", "p/"), concat!("/ho", "me/")];

/// Notes and machine paths. The hashes and sources in lock files are nobody's words.
pub fn words(texts: &[Text]) -> Vec<String> {
    let mut faults = Vec::new();
    for text in texts.iter().filter(|text| !is_lock(&text.path)) {
        for (number, line) in text.content.lines().enumerate() {
            let place = || format!("{}:{}", text.path, number + 1);
            for (word, why) in NOTES {
                if has_word(line, word) {
                    faults.push(format!("{}: `{word}`: {why}", place()));
                }
            }
            for path in PATHS {
                if begins_path(line, path) {
                    faults.push(format!("{}: `{path}…` is a path of one machine", place()));
                }
            }
        }
    }
    faults
}

/// The crates of the engine: one for every network, so none may be named there.
const ENGINE: [&str; 5] = ["dht-core/", "dht-routing/", "dht-query/", "dht-records/", "dht-protocol/"];

/// The networks, their libraries, and things that only one of them has. Where a rule comes from may be said (Amino, BEP).
const NETWORKS: [&str; 8] =
    ["bittorrent", "infohash", "info_hash", "ipfs", "krpc", "libp2p", "mainline", "multiaddr"];

/// Networks named in the engine's source. Its tests may say whose rules they compare with.
pub fn networks(texts: &[Text]) -> Vec<String> {
    let mut faults = Vec::new();
    for text in texts {
        let Some(inner) = ENGINE.iter().find_map(|folder| text.path.strip_prefix(folder)) else {
            continue;
        };
        if !(inner.starts_with("src/") && text.is_rust()) {
            continue;
        }
        for (number, line) in text.content.lines().enumerate() {
            let line = line.to_lowercase();
            for network in NETWORKS.iter().filter(|network| line.contains(*network)) {
                let place = format!("{}:{}", text.path, number + 1);
                faults.push(format!("{place}: `{network}`: the engine serves every network and names none"));
            }
        }
    }
    faults
}

/// What points at a package registry, and the only hosts it may name there.
const REGISTRIES: [(&str, &str); 9] = [
    ("source = \"registry+", "https://github.com/rust-lang/crates.io-index"),
    ("source = \"sparse+", " the default only, so not at all"),
    ("\"resolved\": \"", " no host, so not at all"),
    ("replace-with", " crates-io only, so not at all"),
    ("--index-url", " the default only, so not at all"),
    ("--extra-index-url", " the default only, so not at all"),
    ("--registry", " the default only, so not at all"),
    ("GOPROXY=", " the default only, so not at all"),
    ("registry=", " the default only, so not at all"),
];

/// Registries other than the public ones: whoever clones the repository has no other.
pub fn registries(texts: &[Text]) -> Vec<String> {
    let mut faults = Vec::new();
    for text in texts.iter().filter(|text| !text.path.ends_with("tidy/words.rs")) {
        for (number, line) in text.content.lines().enumerate() {
            for (mark, host) in REGISTRIES {
                if let Some((_, rest)) = line.split_once(mark)
                    && !rest.starts_with(host)
                {
                    faults.push(format!("{}:{}: `{mark}` may name{} {host}", text.path, number + 1, ":"));
                }
            }
        }
    }
    faults
}

fn is_lock(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["Cargo.lock", "go.sum", "package-lock.json"].contains(&name)
}

/// Whether the word stands there alone, not as a part of another.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        // `for now in …` is a loop over times.
        !before.ends_with(joins) && !after.starts_with(joins) && !after.starts_with(" in ")
    })
}

/// Whether a path begins there, not a later part of one (`/dir/wo` + `rk/`, or a URL).
fn begins_path(line: &str, path: &str) -> bool {
    line.match_indices(path)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}$".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(content: &str) -> Vec<Text> {
        vec![Text { path: "a.rs".to_owned(), content: content.to_owned() }]
    }

    #[test]
    fn plain_words_pass() {
        let good = "impl Clock for Now {}\nfor now in [early, late] {}\nlet todos = vec![];\nlet path = \"target/work/x\"; // ${x}/tmp/";
        assert!(words(&one(good)).is_empty());
    }

    #[test]
    fn notes_fail() {
        for (note, _) in NOTES {
            assert_eq!(words(&one(&format!("// {note}: later"))).len(), 1, "{note}");
        }
    }

    #[test]
    fn machine_paths_fail() {
        for path in PATHS {
            assert_eq!(words(&one(&format!("let file = \"{path}x\";"))).len(), 1, "{path}");
        }
    }

    #[test]
    fn the_engine_names_no_network() {
        let at = |path: &str, content: &str| {
            networks(&[Text { path: path.to_owned(), content: content.to_owned() }]).len()
        };
        assert_eq!(at("dht-core/src/key.rs", "/// 32 bytes, as in IPFS."), 1);
        assert_eq!(at("dht-core/src/key.rs", "/// A key of `N` bytes."), 0);
        assert_eq!(at("dht-query/tests/graph.rs", "/// The rule of rust-libp2p."), 0);
        assert_eq!(at("dht-ipfs/src/lib.rs", "/// IPFS."), 0);
    }

    #[test]
    fn public_registries_pass() {
        let good = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert!(registries(&one(good)).is_empty());
    }

    #[test]
    fn other_registries_fail() {
        for (mark, _) in REGISTRIES {
            assert_eq!(registries(&one(&format!("{mark}https://packages.example/x"))).len(), 1, "{mark}");
        }
    }
}
