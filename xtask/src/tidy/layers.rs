//! The layers: which member may depend on which, and what the pure ones must never pull in.
//!
//! The drawing is in `docs/architecture.md`; this is the same drawing as data. A member that is not in it is a fault, so
//! that a new crate finds its place before it finds users.

use std::collections::BTreeSet;

use crate::outside::present;
use crate::workspace::Package;

/// Member, height, and the layers it stands on. It may use those and whatever they stand on; never a sibling.
const LAYERS: &[(&str, u8, &[&str])] = &[
    ("dht-core", 0, &[]),
    ("dht-routing", 1, &["dht-core"]),
    ("dht-query", 1, &["dht-core"]),
    ("dht-records", 1, &["dht-core"]),
    ("dht-protocol", 2, &["dht-routing", "dht-query", "dht-records"]),
    ("dht-ipfs", 3, &["dht-protocol"]),
    ("dht-mainline", 3, &["dht-protocol"]),
    ("dht-net", 3, &["dht-protocol"]),
    ("dht-config", 3, &["dht-protocol"]),
    ("dht-metrics", 3, &["dht-core"]),
    ("dht", 4, &["dht-config", "dht-net", "dht-ipfs", "dht-mainline", "dht-metrics"]),
    ("dht-sim", 4, &["dht-net", "dht-ipfs", "dht-mainline", "dht-metrics"]),
    ("dht-http", 5, &["dht"]),
    ("dht-cli", 6, &["dht", "dht-http", "dht-sim"]),
    ("xtask", 0, &[]),
];

/// The members without a runtime, a socket or a network stack, whatever features are on.
pub const PURE: &[&str] = &[
    "dht-core",
    "dht-routing",
    "dht-query",
    "dht-records",
    "dht-protocol",
    "dht-ipfs",
    "dht-mainline",
    "dht-config",
    "dht-metrics",
];

/// What a pure member must not pull in, directly or through others.
const IMPURE: &[&str] = &[
    "async-io",
    "async-std",
    "libp2p",
    "libp2p-core",
    "libp2p-swarm",
    "mio",
    "quinn",
    "smol",
    "socket2",
    "tokio",
];

/// The only members that may name the network stack: it breaks its interface every few months.
const LIBP2P_USERS: &[&str] = &["dht-net"];

fn layer(name: &str) -> Option<&'static (&'static str, u8, &'static [&'static str])> {
    LAYERS.iter().find(|(layer, ..)| *layer == name)
}

/// Everything below a member.
fn below(name: &str) -> BTreeSet<&'static str> {
    let Some((.., direct)) = layer(name) else { return BTreeSet::new() };
    direct.iter().flat_map(|under| below(under).into_iter().chain([*under])).collect()
}

/// Faults of the edges between members. What is under `tests/` stands outside the layers: it may use everything, and
/// nothing may use it.
pub fn edges(packages: &[Package]) -> Vec<String> {
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in packages.iter().filter(|package| !package.folder.starts_with("tests/")) {
        let name = package.name.as_str();
        let Some((_, height, _)) = layer(name) else {
            faults.push(format!(
                "{name}: not in the drawing of the layers; give it a place in xtask/src/tidy/layers.rs"
            ));
            continue;
        };
        let allowed = below(name);
        for dependency in &package.dependencies {
            let on = dependency.name.as_str();
            if on == "libp2p" && !LIBP2P_USERS.contains(&name) {
                faults.push(format!("{name}: only {} may depend on libp2p", LIBP2P_USERS.join(", ")));
            }
            if !members.contains(on) {
                continue;
            }
            // Tests may look at any lower layer; on itself a crate depends to turn on its own testing feature.
            let lower = layer(on).is_some_and(|(_, other, _)| other < height) || on == name;
            if !(allowed.contains(on) || dependency.dev && lower) {
                let rule =
                    if dependency.dev { "not below it" } else { "neither below it nor below what it uses" };
                faults.push(format!("{name}: must not depend on {on}, which is {rule}"));
            }
        }
    }
    faults
}

/// Faults of what one pure member pulls in, from `cargo tree --prefix none`.
pub fn purity(name: &str, tree: &str) -> Vec<String> {
    present(tree, IMPURE)
        .into_iter()
        .map(|found| {
            format!("{name}: pulls in {found}; it must be usable without a runtime or a network stack")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::package;

    fn faults(package_under_test: Package) -> usize {
        let mut packages: Vec<Package> = LAYERS
            .iter()
            .map(|(name, ..)| package(name, &[], &[]))
            .filter(|member| member.name != package_under_test.name)
            .collect();
        packages.push(package_under_test);
        edges(&packages).len()
    }

    #[test]
    fn a_layer_may_use_what_is_below() {
        assert_eq!(faults(package("dht-protocol", &["dht-routing", "dht-core", "bytes"], &[])), 0);
        assert_eq!(faults(package("dht-cli", &["dht", "dht-core"], &[])), 0);
        assert_eq!(faults(package("dht-config", &["dht-query"], &[])), 0);
    }

    #[test]
    fn siblings_and_upper_layers_are_out_of_reach() {
        assert_eq!(faults(package("dht-routing", &["dht-query"], &[])), 1);
        assert_eq!(faults(package("dht-core", &["dht-protocol"], &[])), 1);
        assert_eq!(faults(package("dht-net", &["dht-ipfs"], &[])), 1);
        assert_eq!(faults(package("dht-config", &["dht-net"], &[])), 1);
        assert_eq!(faults(package("dht-metrics", &["dht-protocol"], &[])), 1);
        assert_eq!(faults(package("xtask", &["dht-core"], &[])), 1);
    }

    #[test]
    fn tests_may_look_lower_and_not_sideways() {
        assert_eq!(faults(package("dht-metrics", &["dht-core"], &["dht-protocol"])), 0);
        assert_eq!(faults(package("dht-routing", &[], &["dht-routing"])), 0);
        assert_eq!(faults(package("dht-routing", &[], &["dht-query"])), 1);
    }

    #[test]
    fn what_is_under_tests_uses_everything_and_is_used_by_nobody() {
        let mut suite = package("interop", &["dht", "libp2p"], &[]);
        suite.folder = "tests/interop".to_owned();
        assert_eq!(faults(suite.clone()), 0);
        let user = package("dht", &["interop"], &[]);
        assert_eq!(edges(&[suite, user]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_place_is_a_fault() {
        assert_eq!(faults(package("dht-new", &[], &[])), 1);
    }

    #[test]
    fn libp2p_has_one_user() {
        assert_eq!(faults(package("dht-net", &["libp2p"], &[])), 0);
        assert_eq!(faults(package("dht-ipfs", &["libp2p-identity"], &[])), 0);
        assert_eq!(faults(package("dht-cli", &["libp2p"], &[])), 1);
    }

    #[test]
    fn a_pure_crate_brings_no_runtime() {
        assert!(purity("dht-ipfs", "dht-ipfs v0.1.0\nlibp2p-identity v0.3.1").is_empty());
        assert_eq!(purity("dht-query", "dht-query v0.1.0\ntokio v1.54.0\nmio v1.0.0").len(), 2);
    }
}
