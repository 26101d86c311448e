//! Lean builds stay lean: what must not get into the SDK with its default features, nor into the deployed worker.
//!
//! A feature that is switched on by mistake compiles and passes every test. Nothing is built to find it: cargo knows.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use support::cargo::{cargo, root};
use support::hello::{Hello, MOST_CRATES};
use support::screen::Screen;
use support::tree::Tree;

/// What only optional features and tests need: servers, storage, telemetry, schemas, archives; and cryptography
/// that takes a C compiler.
const NOT_IN_THE_SDK: &[&str] = &[
    "aws-lc-sys",
    "axum",
    "garde",
    "insta",
    "mock-webui",
    "nvml-wrapper",
    "object_store",
    "openssl-sys",
    "opentelemetry",
    "opentelemetry_sdk",
    "prometheus-client",
    "proptest",
    "s3s",
    "s3s-fs",
    "schemars",
    "tar",
    "wiremock",
    "zip",
];
/// It serves figures and uploads pictures; it is no platform and no test.
const NOT_IN_THE_WORKER: &[&str] = &[
    "aws-lc-sys",
    "axum",
    "insta",
    "mock-webui",
    "openssl-sys",
    "proptest",
    "s3s",
    "s3s-fs",
    "wiremock",
];
/// Features of the SDK that a deployed worker has no use for (`docs/protocol/worker-protocol.md` §13).
const NOT_ASKED_FOR: &[&str] = &["client", "http-modes", "local-server", "testing"];

/// What was found where it must not be.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn no_crates(&mut self, build: &str, tree: &Tree, unwanted: &[&str]) {
        let found = unwanted.iter().filter(|name| tree.has(name));
        self.0
            .extend(found.map(|name| format!("{build} has the crate {name}")));
    }

    fn no_features(&mut self, build: &str, tree: &Tree, of: &str, unwanted: &[&str]) {
        let has = tree.features(of);
        let found = unwanted.iter().filter(|name| has.contains(*name));
        self.0
            .extend(found.map(|name| format!("{build} has the feature {name} of {of}")));
    }
}

/// Fails with everything that is where it must not be.
pub(crate) fn check(screen: Screen) -> anyhow::Result<()> {
    let folder = root().join("target").join("lean");
    let hello = Hello::write(&folder).with_context(|| format!("cannot write into {}", folder.display()))?;
    let smallest = hello.tree()?;
    let worker = Tree::of_package(cargo(["--locked"]), "sd-worker")?;
    let findings = look(&smallest, &worker);
    ensure!(
        findings.0.is_empty(),
        "a lean build is not lean:\n{}",
        findings.0.join("\n")
    );
    screen.line(format_args!(
        "hello with default features: {} crates of at most {MOST_CRATES}; sd-worker: {}",
        smallest.crates(),
        worker.crates()
    ));
    Ok(())
}

fn look(smallest: &Tree, worker: &Tree) -> Findings {
    let mut findings = Findings::default();
    let build = "hello";
    findings.no_crates(build, smallest, NOT_IN_THE_SDK);
    findings.no_features(build, smallest, "hyper", &["server"]);
    let features = smallest.features("runpod-sdk");
    if features != BTreeSet::from(["default", "macros"]) {
        findings
            .0
            .push(format!("{build} has these features of runpod-sdk: {features:?}"));
    }
    if smallest.crates() > MOST_CRATES {
        findings.0.push(format!(
            "{build} has {} crates, more than {MOST_CRATES}",
            smallest.crates()
        ));
    }
    let build = "sd-worker";
    findings.no_crates(build, worker, NOT_IN_THE_WORKER);
    findings.no_features(build, worker, "runpod-sdk", NOT_ASKED_FOR);
    if worker.features("runpod-sdk").is_empty() {
        findings.0.push(format!("{build} has no runpod-sdk"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "hello v0.1.0|\nrunpod-sdk v0.1.0 (/s)|default,macros\nhyper v1.0.0|client,http1\n";
    const WORKER: &str =
        "sd-worker v0.1.0|\nrunpod-sdk v0.1.0 (/s)|default,macros,metrics,upload\nhyper v1.0.0|server\n";

    fn found(hello: &str, worker: &str) -> Vec<String> {
        look(&Tree::read(hello).unwrap(), &Tree::read(worker).unwrap()).0
    }

    #[test]
    fn the_lean_builds_of_this_workspace_are_lean() {
        check(Screen::plain()).unwrap();
    }

    #[test]
    fn nothing_is_found_where_all_is_in_order() {
        assert_eq!(found(HELLO, WORKER), [""; 0]);
    }

    #[test]
    fn a_server_in_a_lean_build_is_found_by_its_crate_and_by_its_feature() {
        let hello = format!("{HELLO}axum v0.8.0|http1\nhyper v1.0.0|server\n");
        assert_eq!(
            found(&hello, WORKER),
            [
                "hello has the crate axum",
                "hello has the feature server of hyper"
            ]
        );
        let worker = format!("{WORKER}runpod-sdk v0.1.0 (/s)|local-server,testing\nwiremock v0.6.0|\n");
        assert_eq!(
            found(HELLO, &worker),
            [
                "sd-worker has the crate wiremock",
                "sd-worker has the feature local-server of runpod-sdk",
                "sd-worker has the feature testing of runpod-sdk"
            ]
        );
    }

    #[test]
    fn one_feature_more_and_one_crate_too_many_are_found() {
        let hello = HELLO.replace("macros", "macros,upload");
        assert_eq!(
            found(&hello, WORKER),
            [r#"hello has these features of runpod-sdk: {"default", "macros", "upload"}"#]
        );
        let more: Vec<String> = (2..MOST_CRATES)
            .map(|number| format!("crate-{number} v1.0.0|\n"))
            .collect();
        let mut hello = format!("{HELLO}{}", more.concat());
        assert_eq!(found(&hello, WORKER), [""; 0], "exactly as many as may be");
        hello.push_str("last-straw v1.0.0|\n");
        assert_eq!(found(&hello, WORKER), ["hello has 121 crates, more than 120"]);
    }
}
