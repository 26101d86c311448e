//! The changelog, in the form of Keep a Changelog.

use anyhow::{Context as _, Result, ensure};

use super::version::Version;

const UNRELEASED: &str = "## [Unreleased]\n";

/// The changelog with its unreleased part under a version and a date.
pub(super) fn released(changelog: &str, version: Version, date: &str) -> Result<String> {
    let (head, rest) = changelog
        .split_once(UNRELEASED)
        .context("CHANGELOG.md has no part [Unreleased]")?;
    ensure!(
        !first_part(rest).is_empty(),
        "CHANGELOG.md says of nothing that it is unreleased"
    );
    Ok(format!("{head}{UNRELEASED}\n## [{version}] - {date}\n{rest}"))
}

/// What a version changes.
pub(super) fn changes_of(changelog: &str, version: Version) -> Result<String> {
    let head = format!("## [{version}] - ");
    let changes = changelog.split_once(&head).and_then(|(_, part)| {
        let (_, text) = part.split_once('\n')?;
        Some(first_part(text).to_owned())
    });
    changes
        .filter(|text| !text.is_empty())
        .with_context(|| format!("CHANGELOG.md has no changes of {version}"))
}

/// The text before the next version.
fn first_part(text: &str) -> &str {
    let (part, _) = text.split_once("\n## ").unwrap_or((text, ""));
    part.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str =
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- New.\n\n## [0.1.0] - 2026-01-01\n\n- First.\n";

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_unreleased_stands_under_its_version_and_date() {
        let released = released(CHANGELOG, version("0.2.0"), "2026-12-24").unwrap();
        assert_eq!(
            changes_of(&released, version("0.2.0")).unwrap(),
            "### Added\n\n- New."
        );
        assert_eq!(changes_of(&released, version("0.1.0")).unwrap(), "- First.");
        assert!(released.contains("## [Unreleased]\n\n## [0.2.0] - 2026-12-24\n\n### Added"));
    }

    #[test]
    fn a_release_without_a_change_is_refused() {
        let empty = "## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n\n- First.\n";
        assert!(released(empty, version("0.2.0"), "2026-12-24").is_err());
        assert!(changes_of(CHANGELOG, version("0.2.0")).is_err());
    }
}
