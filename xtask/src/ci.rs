//! `cargo xtask ci`: what CI checks, in the order in which a mistake is cheapest to find.

use std::time::Instant;

use crate::lean;
use crate::test;
use support::cargo::{self, cargo, run as run_cargo};
use support::screen::Screen;

/// Check everything that CI checks: format, lints, lean builds, docs, tests, conformance.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

/// Each check: what it is, and the cargo arguments that make it.
const CHECKS: [(&str, &[&str]); 8] = [
    ("format", &["fmt", "--all", "--check"]),
    (
        "directions of imports",
        &["run", "--locked", "--package", "layers"],
    ),
    (
        "lints, every feature and target",
        &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ],
    ),
    // A build of the whole workspace unifies features; these are as users and deployments have them.
    (
        "lints, the SDK with its default features",
        &[
            "clippy",
            "--locked",
            "--package",
            "runpod-sdk",
            "--lib",
            "--",
            "-D",
            "warnings",
        ],
    ),
    (
        "lints, the SDK without any feature",
        &[
            "clippy",
            "--locked",
            "--package",
            "runpod-sdk",
            "--lib",
            "--no-default-features",
            "--",
            "-D",
            "warnings",
        ],
    ),
    // Some of its tests are about what a lean build does not have.
    (
        "the SDK's own tests with its default features",
        &["test", "--locked", "--package", "runpod-sdk", "--lib", "--quiet"],
    ),
    (
        "the worker as it is deployed",
        &["build", "--locked", "--package", "sd-worker"],
    ),
    (
        "documentation",
        &["doc", "--locked", "--workspace", "--all-features", "--no-deps"],
    ),
];

const CONFORMANCE: [&str; 4] = ["run", "--locked", "--package", "conformance"];

pub(crate) fn run(_options: &Options, screen: Screen) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut times = Vec::new();
    for (name, arguments) in CHECKS {
        let started = Instant::now();
        screen.heading(format_args!("\n== {name}"));
        let mut command = cargo(arguments);
        command.env("RUSTDOCFLAGS", "-D warnings");
        run_cargo(command, screen)?;
        times.push((name, started.elapsed()));
    }
    let started = Instant::now();
    screen.heading("\n== lints, the SDK with each feature alone");
    for feature in cargo::features("runpod-sdk")? {
        let flags = ["--no-default-features", "--features", &feature];
        let mut command = cargo(["clippy", "--locked", "--package", "runpod-sdk", "--lib"]);
        command.args(flags).args(["--", "-D", "warnings"]);
        run_cargo(command, screen)?;
    }
    times.push(("lints, the SDK with each feature alone", started.elapsed()));
    let started = Instant::now();
    screen.heading("\n== what lean builds are made of");
    lean::check(screen)?;
    times.push(("what lean builds are made of", started.elapsed()));
    let started = Instant::now();
    screen.heading("\n== tests");
    test::run(&test::Options::everything(), screen)?;
    times.push(("tests", started.elapsed()));
    let started = Instant::now();
    screen.heading("\n== conformance with RunPod's published clients and worker");
    run_cargo(cargo(CONFORMANCE), screen)?;
    times.push(("conformance", started.elapsed()));
    screen.heading("\n== all passed");
    for (name, time) in times {
        screen.line(format_args!("{:>5} s  {name}", time.as_secs()));
    }
    screen.line(format_args!("{:>5} s  in all", begun.elapsed().as_secs()));
    Ok(())
}
