//! The compiler, called on one file with the libraries as a user of the SDK has them: with its default features.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::message;

/// The libraries that the cases name.
const LIBRARIES: [&str; 4] = ["futures_util", "runpod_sdk", "serde", "tokio"];

/// The folder of the package whose tests these are, in the workspace.
const PACKAGE: &str = "runpod-sdk";

/// `rustc` with the arguments that are the same for each case.
pub(crate) struct Compiler {
    workspace: PathBuf,
    arguments: Vec<OsString>,
}

impl Compiler {
    /// Has cargo check the libraries and asks it where they are.
    pub(crate) fn of_this_workspace() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
        let artifacts = artifacts(&workspace);
        let mut arguments: Vec<OsString> = [
            "--edition=2024",
            "--crate-type=bin",
            "--crate-name=case",
            "--emit=metadata",
        ]
        .map(OsString::from)
        .into();
        arguments
            .extend(["--error-format=json", "--out-dir", env!("CARGO_TARGET_TMPDIR")].map(OsString::from));
        for library in LIBRARIES {
            let file = library_file(&artifacts, library);
            let mut named = OsString::from(format!("{library}="));
            named.push(&file);
            let mut folder = OsString::from("dependency=");
            folder.push(file.parent().unwrap());
            arguments.extend(["--extern".into(), named, "-L".into(), folder]);
        }
        Self { workspace, arguments }
    }

    /// What the compiler says of a file; empty if it compiles.
    pub(crate) fn complaint(&self, file: &Path) -> String {
        let ran = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(&self.arguments)
            // The libraries name their sources from the workspace on.
            .arg(Path::new(PACKAGE).join(file))
            .current_dir(&self.workspace)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if ran.status.success() {
            return String::new();
        }
        let text = String::from_utf8(ran.stderr).unwrap();
        let messages: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("rustc: {text}")))
            .filter(|message| message["level"] != "failure-note" && !is_summary(message))
            .map(|message| message::normal(message["rendered"].as_str().unwrap(), &self.workspace, PACKAGE))
            .collect();
        messages.join("\n")
    }
}

fn is_summary(message: &Value) -> bool {
    message["message"]
        .as_str()
        .unwrap()
        .starts_with("aborting due to")
}

/// What cargo says of each artifact of the SDK. It only checks them; the cases are not linked.
fn artifacts(workspace: &Path) -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["check", "--package", PACKAGE, "--lib"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    // What cargo sets for a test would change what build scripts see, and rebuild half of the workspace.
    for (name, _) in std::env::vars().filter(|(name, _)| {
        name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    }) {
        cargo.env_remove(name);
    }
    let ran = cargo.output().unwrap();
    assert!(ran.status.success(), "cargo could not build the libraries");
    let lines = ran
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The file of a library among cargo's artifacts.
fn library_file(artifacts: &[Value], name: &str) -> PathBuf {
    let is_library = |artifact: &&Value| {
        artifact["reason"] == "compiler-artifact"
            && artifact["target"]["name"] == name
            && artifact["target"]["kind"][0] == "lib"
    };
    let found: Vec<_> = artifacts
        .iter()
        .filter(is_library)
        .flat_map(|artifact| artifact["filenames"].as_array().unwrap())
        .map(|file| PathBuf::from(file.as_str().unwrap()))
        .filter(|file| file.extension().is_some_and(|ending| ending == "rmeta"))
        .collect();
    let [file] = &found[..] else {
        panic!("cargo has built {name} as {found:?}");
    };
    file.clone()
}
