//! A new worker builds and passes as it was generated.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests, too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Cargo in the new worker's folder. What it builds is kept between runs of this test.
fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-worker");
    let mut command = Command::new(env!("CARGO"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        // Only the compiler's time; the program is the same.
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    // The variables that cargo sets for a test are about this workspace.
    for (name, _) in std::env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    {
        command.env_remove(name);
    }
    run(&mut command)
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// The steps of a workflow's only job, each on a line of its own.
fn steps(workflow: &str) -> Vec<&str> {
    let (_, steps) = workflow.split_once("steps:\n").unwrap();
    let lines = steps.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let step = line.strip_prefix("- ");
            step.unwrap_or_else(|| panic!("no step of one line: {line}"))
        })
        .collect()
}

#[test]
fn a_new_worker_builds_and_passes_as_it_was_generated() {
    let place = tempfile::tempdir().unwrap();
    let made = run(Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["new-worker", "my-worker", "--path"])
        .arg(place.path()));
    let place_name = place.path().to_str().unwrap();
    let told = String::from_utf8(made.stdout)
        .unwrap()
        .replace(place_name, "[place]");
    insta::assert_snapshot!("what_new_worker_tells", told);

    let folder = place.path().join("my-worker");
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let mut paths: Vec<&str> = paths
        .iter()
        .map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap())
        .collect();
    paths.sort_unstable();
    insta::assert_snapshot!("files_of_a_new_worker", paths.join("\n"));

    // What its own CI runs, word by word.
    let workflow = std::fs::read_to_string(folder.join(".github/workflows/ci.yml")).unwrap();
    let steps = steps(&workflow);
    assert_eq!(
        steps,
        [
            "uses: actions/checkout@v4",
            "run: rustup show",
            "run: cargo fmt --check",
            "run: cargo clippy --locked --all-targets -- -D warnings",
            "run: cargo test --locked",
            "run: cargo run --locked",
        ]
    );
    let mut result = String::new();
    for arguments in steps.iter().filter_map(|step| step.strip_prefix("run: cargo ")) {
        let words: Vec<&str> = arguments.split(' ').collect();
        let ran = cargo(&folder, &words);
        result = String::from_utf8(ran.stdout).unwrap();
    }
    assert!(
        result.contains(r#"Job result: {"output": {"greetings":["Hello, World!","Hello, World!"]}}"#),
        "{result}"
    );
}
