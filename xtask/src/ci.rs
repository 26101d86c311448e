//! `cargo xtask ci`: what CI checks, in the order in which a mistake is cheapest to find.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use support::cargo::{self, cargo, run as run_cargo};
use support::screen::Screen;

use crate::console_test;
use crate::deny;
use crate::images;
use crate::lean;
use crate::test;

/// Check everything that CI checks: format, lints, dependencies, lean builds, images, docs, tests, console, conformance.
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
        &[
            "test",
            "--locked",
            "--package",
            "runpod-worker",
            "--lib",
            "--quiet",
        ],
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
    let mut steps = Steps::new(screen);
    let done = all(&mut steps, screen);
    screen.heading(if done.is_ok() {
        "\n== all passed"
    } else {
        "\n== not passed"
    });
    steps.print();
    done
}

fn all(steps: &mut Steps, screen: Screen) -> anyhow::Result<()> {
    for (name, arguments) in CHECKS {
        steps.step(name, || {
            let mut command = cargo(arguments);
            command.env("RUSTDOCFLAGS", "-D warnings");
            run_cargo(command, screen)
        })?;
    }
    steps.step("lints, the SDK with each feature alone", || {
        for feature in cargo::features("runpod-sdk")? {
            let flags = ["--no-default-features", "--features", &feature];
            let mut command = cargo(["clippy", "--locked", "--package", "runpod-sdk", "--lib"]);
            command.args(flags).args(["--", "-D", "warnings"]);
            run_cargo(command, screen)?;
        }
        Ok(())
    })?;
    steps.step("licences, sources and bans of dependencies", || {
        deny::run(&deny::Options::offline(), screen)
    })?;
    steps.step("what lean builds are made of", || lean::check(screen))?;
    steps.step("images", || images::run(&images::Options {}, screen))?;
    steps.step("tests", || test::run(&test::Options::everything(), screen))?;
    steps.step("console in the browser", || {
        console_test::run(&console_test::Options::everything(), screen)
    })?;
    steps.step("conformance with RunPod's published clients and worker", || {
        run_cargo(cargo(CONFORMANCE), screen)
    })
}

/// The steps that have been made, and how long each took.
struct Steps {
    screen: Screen,
    begun: Instant,
    times: Vec<(&'static str, Duration)>,
}

impl Steps {
    fn new(screen: Screen) -> Self {
        Self {
            screen,
            begun: Instant::now(),
            times: Vec::new(),
        }
    }

    fn step(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let started = Instant::now();
        self.screen.heading(format_args!("\n== {name}"));
        let done = work();
        self.times.push((name, started.elapsed()));
        done.with_context(|| format!("the step `{name}` did not pass"))
    }

    fn print(&self) {
        for (name, time) in &self.times {
            self.screen.line(format_args!("{:>5} s  {name}", time.as_secs()));
        }
        self.screen
            .line(format_args!("{:>5} s  in all", self.begun.elapsed().as_secs()));
    }
}
