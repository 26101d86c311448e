//! `cargo xtask release`: a version, its changelog and its tag, made in one step and checked in another.

mod changelog;
mod version;

use std::fs;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use support::cargo::{cargo, output, root, run as run_cargo};
use support::screen::Screen;

use self::version::Version;

/// Make a release: set the version, date the changelog, commit and tag. Nothing is pushed.
///
/// The tag starts `.github/workflows/release.yml`, which builds the programs and publishes them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The version, such as 0.2.0
    #[arg(required_unless_present = "check")]
    version: Option<Version>,

    /// Change nothing: check that this tag, the version and the changelog agree, and print the version's changes
    #[arg(long, value_name = "TAG", conflicts_with = "version")]
    check: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask release 0.2.0
  cargo xtask release --check v0.2.0";

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    match (&options.version, &options.check) {
        (Some(version), _) => make(*version, screen),
        (None, Some(tag)) => {
            screen.line(check(tag, &read("Cargo.toml")?, &read("CHANGELOG.md")?)?);
            Ok(())
        }
        (None, None) => bail!("name a version"),
    }
}

fn make(version: Version, screen: Screen) -> anyhow::Result<()> {
    ensure!(
        git(&["status", "--porcelain"])?.is_empty(),
        "there are changes that are not committed"
    );
    let tag = format!("v{version}");
    ensure!(
        git(&["tag", "--list", &tag])?.is_empty(),
        "there is a tag {tag} already"
    );
    let manifest = read("Cargo.toml")?;
    let current = version::of_workspace(&manifest)?;
    ensure!(
        version >= current,
        "the version is {current} already; {version} is an earlier one"
    );
    let today = output(Command::new("date").args(["-u", "+%F"]))?;
    let manifest = version::set(&manifest, version)?;
    let changelog = changelog::released(&read("CHANGELOG.md")?, version, today.trim())?;
    check(&tag, &manifest, &changelog)?;
    fs::write(root().join("Cargo.toml"), manifest)?;
    fs::write(root().join("CHANGELOG.md"), changelog)?;
    // The lock file names the workspace's own versions, too.
    run_cargo(cargo(["update", "--workspace", "--offline"]), screen)?;
    git(&["add", "Cargo.toml", "Cargo.lock", "CHANGELOG.md"])?;
    git(&["commit", "--quiet", "--message", &format!("Release {version}")])?;
    git(&[
        "tag",
        "--annotate",
        &tag,
        "--message",
        &format!("Release {version}"),
    ])?;
    screen.line(format_args!(
        "{tag} is made. The workflow begins with:\n\n  git push origin HEAD {tag}"
    ));
    Ok(())
}

/// Compares a tag with the version and the changelog, and returns what the version changes.
fn check(tag: &str, manifest: &str, changelog: &str) -> anyhow::Result<String> {
    let version: Version = tag
        .strip_prefix('v')
        .with_context(|| format!("a tag begins with v, and this is {tag}"))?
        .parse()
        .map_err(anyhow::Error::msg)?;
    let current = version::of_workspace(manifest)?;
    ensure!(
        version == current,
        "the tag is {tag}, and Cargo.toml says {current}"
    );
    changelog::changes_of(changelog, version)
}

fn read(name: &str) -> anyhow::Result<String> {
    fs::read_to_string(root().join(name)).with_context(|| format!("cannot read {name}"))
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    output(command.args(arguments).current_dir(root()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace.package]\nversion = \"0.2.0\"\n";
    const CHANGELOG: &str = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-24\n\n- A star.\n";

    #[test]
    fn a_tag_that_agrees_with_version_and_changelog_passes_with_its_changes() {
        assert_eq!(check("v0.2.0", MANIFEST, CHANGELOG).unwrap(), "- A star.");
    }

    #[test]
    fn what_disagrees_is_named() {
        for (tag, manifest, changelog, expected) in [
            ("0.2.0", MANIFEST, CHANGELOG, "begins with v"),
            ("v0.3.0", MANIFEST, CHANGELOG, "Cargo.toml says 0.2.0"),
            ("v0.2", MANIFEST, CHANGELOG, "write a version"),
            (
                "v0.2.0",
                MANIFEST,
                "## [Unreleased]\n\n- x\n",
                "no changes of 0.2.0",
            ),
        ] {
            let error = check(tag, manifest, changelog).unwrap_err().to_string();
            assert!(error.contains(expected), "{tag}: {error}");
        }
    }

    #[test]
    fn the_workflow_builds_packages_and_programs_that_exist() {
        let workflow = read(".github/workflows/release.yml").unwrap();
        let (_, list) = workflow.split_once("  PROGRAMS: >-\n").unwrap();
        let (list, _) = list.split_once("\n\n").unwrap();
        let lines: Vec<&str> = list.lines().map(str::trim).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        for line in lines {
            let [folder, package, program] = line.split(':').collect::<Vec<_>>().try_into().unwrap();
            let manifest = read(&format!("{folder}/Cargo.toml")).unwrap();
            for name in [package, program] {
                assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{line}");
            }
        }
    }

    #[test]
    fn this_workspace_can_be_released() {
        let version = version::of_workspace(&read("Cargo.toml").unwrap()).unwrap();
        let changelog = read("CHANGELOG.md").unwrap();
        let released = changelog::changes_of(&changelog, version);
        if released.is_err() {
            changelog::released(&changelog, version, "2026-12-24").unwrap();
        }
    }
}
