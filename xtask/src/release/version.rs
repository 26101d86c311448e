//! Versions of the workspace.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result};

/// `major.minor.patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u64; 3]);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Option<Vec<u64>> = text.split('.').map(|part| part.parse().ok()).collect();
        let numbers = parts.and_then(|parts| parts.try_into().ok());
        numbers
            .map(Self)
            .ok_or_else(|| format!("write a version such as 0.2.0, not {text}"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The version of all crates.
pub(super) fn of_workspace(manifest: &str) -> Result<Version> {
    let line = line(manifest)?;
    let text = line.trim_start_matches("version = ").trim_matches('"');
    text.parse().map_err(anyhow::Error::msg)
}

/// The manifest with another version.
pub(super) fn set(manifest: &str, version: Version) -> Result<String> {
    let old = line(manifest)?;
    Ok(manifest.replacen(old, &format!("version = \"{version}\""), 1))
}

/// The line that has the version: the first in `[workspace.package]` that begins so.
fn line(manifest: &str) -> Result<&str> {
    let (_, package) = manifest
        .split_once("[workspace.package]\n")
        .context("Cargo.toml has no [workspace.package]")?;
    let lines = package.lines().take_while(|line| !line.starts_with('['));
    let mut versions = lines.filter(|line| line.starts_with("version = \""));
    versions.next().context("Cargo.toml has no version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers_in_their_order() {
        let version = |text: &str| text.parse::<Version>();
        assert!(version("0.10.0").unwrap() > version("0.9.12").unwrap());
        assert_eq!(version("1.2.3").unwrap().to_string(), "1.2.3");
        for bad in ["", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.x"] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_workspace_s_version_is_set() {
        let manifest = "[workspace.package]\nversion = \"0.1.0\"\n[workspace.dependencies]\nx = { version = \"0.1.0\" }\n";
        let set = set(manifest, "0.2.0".parse().unwrap()).unwrap();
        assert_eq!(of_workspace(&set).unwrap().to_string(), "0.2.0");
        assert!(set.contains("x = { version = \"0.1.0\" }"), "{set}");
    }
}
