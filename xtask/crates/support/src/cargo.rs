//! Running cargo.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::screen::Screen;

/// The workspace's folder.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(3).unwrap_or(manifest)
}

/// The cargo that runs this command, in the workspace's folder.
///
/// What cargo sets for a program it runs is taken out: it would change what build scripts see, and with that
/// rebuild half of the workspace.
pub fn cargo<I>(arguments: I) -> Command
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if set_by_cargo(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

fn set_by_cargo(name: &str) -> bool {
    name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Whether `cargo NAME` exists.
pub fn has(subcommand: &str) -> bool {
    cargo([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once("cargo".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a command to its end; its output goes where ours goes.
pub fn run(mut command: Command, screen: Screen) -> anyhow::Result<()> {
    let shown = shown(&command);
    screen.heading(format_args!("$ {shown}"));
    let status = command
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command to its end and returns what it prints; what it says of its work goes to the terminal.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let ran = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !ran.status.success() {
        bail!("{command:?} failed ({})", ran.status);
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// The features of a package of this workspace.
pub fn features(package: &str) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        features: BTreeMap<String, Vec<String>>,
    }
    let output = cargo(["metadata", "--locked", "--no-deps", "--format-version=1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run `cargo metadata`")?;
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` gave no metadata")?;
    let found = metadata.packages.into_iter().find(|found| found.name == package);
    let found = found.with_context(|| format!("this workspace has no package {package}"))?;
    Ok(found
        .features
        .into_keys()
        .filter(|name| name != "default")
        .collect())
}

/// Builds one program as a plain `cargo build -p PACKAGE` does, and says where it is.
///
/// One package at a time: cargo unifies the features of packages built together, and the program would not be
/// the one that is deployed.
pub fn build_program(package: &str) -> anyhow::Result<PathBuf> {
    build(package, package, &[])
}

/// Builds a program that has another name than its package as [`build_program`] does.
pub fn build_program_of(package: &str, program: &str) -> anyhow::Result<PathBuf> {
    build(package, program, &[])
}

/// Builds one program as [`build_program`] does, in the form that is deployed.
pub fn build_release(package: &str) -> anyhow::Result<PathBuf> {
    build(package, package, &["--release"])
}

fn build(package: &str, program: &str, profile: &[&str]) -> anyhow::Result<PathBuf> {
    let format = "--message-format=json-render-diagnostics";
    let mut command = cargo(["build", "--package", package]);
    command.args(profile);
    let shown = shown(&command);
    let output = command
        .args(["--bin", program, format])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed; the compiler's messages are above");
    }
    executable(&output.stdout, program).with_context(|| format!("`{shown}` built no program named {program}"))
}

/// The program's path in cargo's messages.
fn executable(messages: &[u8], program: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
        .filter(|message| {
            message
                .target
                .as_ref()
                .is_some_and(|target| target.name == program)
        })
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"sd-worker"},"executable":"/t/debug/sd-worker"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        let found = executable(messages.as_bytes(), "sd-worker");
        assert_eq!(found.as_deref(), Some(Path::new("/t/debug/sd-worker")));
        assert_eq!(executable(messages.as_bytes(), "mock-webui"), None);
    }

    #[test]
    fn the_features_of_a_package_are_read_from_its_manifest() {
        let features = features("runpod-sdk").unwrap();
        assert!(features.contains(&"local-server".to_owned()), "{features:?}");
        assert!(!features.contains(&"default".to_owned()));
    }

    #[test]
    fn the_workspace_is_where_the_lock_file_is() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
