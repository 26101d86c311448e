//! The example `hello` as a project of its own: the SDK with its default features, as a user depends on it.
//!
//! Built as an example, cargo would give it the features of the tests, too.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::cargo::{cargo, output, root};
use crate::tree::Tree;

const MANIFEST: &str = r#"[package]
name = "hello"
version = "0.1.0"
edition = "2024"
publish = false

[workspace]

[dependencies]
runpod-sdk = { path = "SDK" }
serde = { version = "1", features = ["derive"] }

[profile.release]
lto = "fat"
codegen-units = 1
strip = "symbols"
"#;
const PROGRAM: &str = include_str!("../../../../runpod-sdk/examples/hello.rs");

/// The most crates that the smallest worker may consist of, itself not counted.
pub const MOST_CRATES: usize = 120;

/// The project, in a folder.
#[derive(Debug)]
pub struct Hello {
    folder: PathBuf,
}

impl Hello {
    /// Writes the project, with the versions that this workspace is tested with.
    pub fn write(folder: &Path) -> anyhow::Result<Self> {
        let source = folder.join("src");
        std::fs::create_dir_all(&source).with_context(|| format!("cannot make {}", source.display()))?;
        let sdk = root().join("runpod-sdk");
        let manifest = MANIFEST.replace("SDK", &sdk.to_string_lossy());
        std::fs::write(folder.join("Cargo.toml"), manifest)?;
        std::fs::write(source.join("main.rs"), PROGRAM)?;
        std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Downloads what it depends on, and takes out of its lock file what it does not need.
    pub fn fetch(&self) -> anyhow::Result<()> {
        output(&mut self.cargo(&["fetch"])).map(drop)
    }

    /// Cargo in the project's folder.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo(arguments);
        command.current_dir(&self.folder).env_remove("CARGO_TARGET_DIR");
        command
    }

    /// What it is made of, the program itself not counted. Nothing is built; its lock file loses what it does not need.
    pub fn tree(&self) -> anyhow::Result<Tree> {
        Tree::of(self.cargo(&[]))
    }
}
