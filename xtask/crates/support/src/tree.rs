//! What a program is made of: the crates that cargo would build into it, and their features.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::ensure;

use crate::cargo::output;

/// The system whose dependencies are looked at, so that the answer is the same everywhere.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The crates of a build. Those that only tests or build scripts need are not among them.
#[derive(Debug)]
pub struct Tree {
    /// The crates below the root, each with its version, and the features that it has.
    crates: BTreeMap<String, BTreeSet<String>>,
}

impl Tree {
    /// Asks cargo; `cargo` has its folder and, where the lock file must not change, `--locked`.
    pub fn of(mut cargo: Command) -> anyhow::Result<Self> {
        Self::read(&output(with_arguments(&mut cargo))?)
    }

    /// Asks cargo about one package of a workspace, built alone and with its default features.
    pub fn of_package(mut cargo: Command, package: &str) -> anyhow::Result<Self> {
        Self::read(&output(with_arguments(&mut cargo).args(["--package", package]))?)
    }

    /// Reads what cargo printed: a crate and its features on each line, the root first.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        // The first is the root.
        for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
            let Some((name, features)) = line.trim_end_matches(" (*)").split_once('|') else {
                anyhow::bail!("cargo tree printed a line without features: {line}");
            };
            let known = crates.entry(name.trim_end().to_owned()).or_default();
            known.extend(
                features
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
        }
        ensure!(!crates.is_empty(), "cargo tree printed no dependency");
        Ok(Self { crates })
    }

    /// How many crates there are; two versions of one count as two.
    pub fn crates(&self) -> usize {
        self.crates.len()
    }

    /// Whether a crate is among them, in any version.
    pub fn has(&self, name: &str) -> bool {
        self.versions(name).next().is_some()
    }

    /// The features of a crate, all its versions together.
    pub fn features(&self, name: &str) -> BTreeSet<&str> {
        self.versions(name).flatten().map(String::as_str).collect()
    }

    fn versions(&self, name: &str) -> impl Iterator<Item = &BTreeSet<String>> {
        self.crates
            .iter()
            .filter(move |(known, _)| known.split(' ').next() == Some(name))
            .map(|(_, features)| features)
    }
}

fn with_arguments(cargo: &mut Command) -> &mut Command {
    cargo.args(["tree", "--edges=normal", "--prefix=none", "--target"]);
    cargo.args([TARGET, "--format={p}|{f}"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "hello v0.1.0 (/x)|\nserde v1.0.0|default,derive\ntokio v1.0.0|net\n\
        serde v1.0.0|default,derive (*)\nsyn v2.0.0 |\nsyn v3.0.0|full\ntokio v1.0.0|net,time\n";

    #[test]
    fn a_crate_counts_once_and_the_program_not_at_all() {
        let tree = Tree::read(TREE).unwrap();
        assert_eq!(tree.crates(), 4);
        assert!(tree.has("syn") && !tree.has("hello") && !tree.has("sy"));
    }

    #[test]
    fn the_features_of_a_crate_are_those_of_all_its_lines() {
        let tree = Tree::read(TREE).unwrap();
        assert_eq!(Vec::from_iter(tree.features("tokio")), ["net", "time"]);
        assert_eq!(Vec::from_iter(tree.features("serde")), ["default", "derive"]);
        assert_eq!(tree.features("axum").len(), 0);
    }

    #[test]
    fn what_cargo_did_not_say_is_no_answer() {
        assert!(Tree::read("hello v0.1.0 (/x)|\n").is_err(), "no dependency");
        assert!(
            Tree::read("hello v0.1.0|\nserde v1.0.0\n").is_err(),
            "no features"
        );
    }
}
