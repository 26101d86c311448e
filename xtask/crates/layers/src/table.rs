//! The table `xtask/layers.toml`: the order of the modules of each crate.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The order of the modules, by the name of the crate.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Table {
    pub(crate) crates: BTreeMap<String, Order>,
}

/// The order of the modules of one crate.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Order {
    /// The top-level modules from the ground up. Names on one line, separated by commas, do not import each other.
    pub(crate) layers: Vec<String>,
    /// Pairs of neighbouring modules that are one idea and may import each other, written `a::b` and `a::c`.
    #[serde(default)]
    pub(crate) pairs: Vec<[String; 2]>,
    /// Whether findings are printed without failing the check.
    #[serde(default)]
    pub(crate) report_only: bool,
}

impl Order {
    /// The number of a module's line, counted from the ground.
    pub(crate) fn line_of(&self, module: &str) -> Option<usize> {
        self.layers
            .iter()
            .position(|line| names(line).any(|name| name == module))
    }

    /// Every module that the table names.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().flat_map(|line| names(line))
    }
}

fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(str::trim).filter(|name| !name.is_empty())
}
