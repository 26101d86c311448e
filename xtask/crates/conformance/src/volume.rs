//! One cache on a network volume, shared by the published SDK and ours (worker-protocol §15).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use runpod_sdk::volume_cache::VolumeCache;
use serde_json::{Value, json};

use crate::limit;
use crate::report::Row;
use crate::setup::Kit;

const SUBJECT: &str = "volume cache, shared";

/// A name that does not fit into the 100 characters of a plain archive.
const LONG: &str = "a/long/way/down/in/a/folder/with/a/name/that/is/longer/than/a/plain/archive/has/room/for/see/that/it/is/whole";

/// All cases, one after the other: each goes on from where the last one ended.
pub(crate) async fn run(kit: &Kit) -> Vec<Row> {
    match Shared::new(kit) {
        Ok(shared) => vec![
            row(
                "written by Python, restored by ours",
                ours_restores(&shared).await,
                &python_keeps(),
            ),
            row(
                "written by ours, restored by Python",
                python_restores(&shared).await,
                &python_reads(),
            ),
            row("written by both in turn", in_turn(&shared).await, &both_keep()),
        ],
        Err(fault) => vec![Row::broken(SUBJECT, "set-up", &fault)],
    }
}

fn row(case: &str, seen: (anyhow::Result<Value>, Instant), expected: &Value) -> Row {
    let (seen, begun) = seen;
    match seen {
        Ok(seen) => Row::new(SUBJECT, case, expected, seen, None, begun.elapsed()),
        Err(fault) => Row::broken(SUBJECT, case, &fault),
    }
}

/// Python keeps neither links nor what lies under `refs/`.
fn python_keeps() -> Value {
    json!({ "blobs/large": 400_000, "blobs/small": 10, "grüße": 5, LONG: 3 })
}

/// What Python makes of a cache that ours has written: the files, references included.
fn python_reads() -> Value {
    json!({ "blobs/large": 400_000, "blobs/small": 10, "grüße": 5, LONG: 3, "refs/main": 6 })
}

fn both_keep() -> Value {
    json!({
        "python rewrote the archive for nothing": false,
        "after python": { "blobs/large": 400_000, "blobs/small": 10, "grüße": 5, LONG: 3, "from python": 6, "refs/main": 6 },
        "after ours": {
            "blobs/large": 400_000, "blobs/small": 10, "grüße": 5, LONG: 3, "from python": 6, "refs/main": 6,
            "snapshots/c0ffee/model": "../../blobs/large",
        },
    })
}

struct Shared<'a> {
    kit: &'a Kit,
    home: PathBuf,
}

impl<'a> Shared<'a> {
    fn new(kit: &'a Kit) -> anyhow::Result<Self> {
        let home = kit.logs.with_file_name("volume");
        if home.exists() {
            fs::remove_dir_all(&home).context("the last run's volume cannot be removed")?;
        }
        fs::create_dir_all(home.join("volume"))?;
        let shared = Self {
            kit,
            home: home.canonicalize()?,
        };
        shared.fill()?;
        Ok(shared)
    }

    fn cache(&self) -> PathBuf {
        self.home.join("cache")
    }

    fn archive(&self) -> PathBuf {
        self.home.join("volume/.cache/shared/small.tar")
    }

    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let file = self.cache().join(name);
        fs::create_dir_all(file.parent().unwrap_or(&file))?;
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))
    }

    /// A cache in Hugging Face's layout, and odd names.
    fn fill(&self) -> anyhow::Result<()> {
        self.write("blobs/large", &vec![7; 400_000])?;
        self.write("blobs/small", b"0123456789")?;
        self.write("refs/main", b"c0ffee")?;
        self.write("grüße", b"hello")?;
        self.write(LONG, b"yes")?;
        let snapshot = self.cache().join("snapshots/c0ffee");
        fs::create_dir_all(&snapshot)?;
        Ok(std::os::unix::fs::symlink(
            "../../blobs/large",
            snapshot.join("model"),
        )?)
    }

    /// As on a new worker.
    fn forget(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(self.cache())?;
        Ok(fs::create_dir(self.cache())?)
    }

    async fn python(&self, call: &str) -> anyhow::Result<()> {
        let mut command = Command::new(&self.kit.python);
        command.arg(self.kit.scripts.join("volume_cache.py")).arg(call);
        command.arg(self.home.join("volume")).arg(self.cache());
        let output = limit::output(&mut command, limit::STEP).await?;
        if !output.status.success() {
            bail!("Python's {call} failed:\n{}", limit::words(&output));
        }
        Ok(())
    }

    fn ours(&self) -> VolumeCache {
        VolumeCache::new([self.cache()])
            .namespace("shared")
            .volume(self.home.join("volume"))
    }

    /// Each file with its size, each link with its target.
    fn found(&self) -> anyhow::Result<Value> {
        let mut found = BTreeMap::new();
        walk(&self.cache(), &self.cache(), &mut found)?;
        Ok(json!(found))
    }
}

fn walk(folder: &Path, top: &Path, found: &mut BTreeMap<String, Value>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.strip_prefix(top)?.display().to_string();
        if path.is_symlink() {
            found.insert(name, json!(fs::read_link(&path)?));
        } else if path.is_dir() {
            walk(&path, top, found)?;
        } else {
            let content = fs::read(&path)?;
            ensure!(
                name != "blobs/large" || content.iter().all(|byte| *byte == 7),
                "{name} is damaged"
            );
            found.insert(name, json!(content.len()));
        }
    }
    Ok(())
}

async fn ours_restores(shared: &Shared<'_>) -> (anyhow::Result<Value>, Instant) {
    let begun = Instant::now();
    let seen = async {
        shared.python("sync").await?;
        shared.forget()?;
        shared.ours().hydrate()?;
        shared.found()
    };
    (seen.await, begun)
}

async fn python_restores(shared: &Shared<'_>) -> (anyhow::Result<Value>, Instant) {
    let begun = Instant::now();
    let seen = async {
        shared.forget()?;
        shared.fill()?;
        shared.ours().sync()?;
        shared.forget()?;
        shared.python("hydrate").await?;
        shared.found()
    };
    (seen.await, begun)
}

async fn in_turn(shared: &Shared<'_>) -> (anyhow::Result<Value>, Instant) {
    let begun = Instant::now();
    let seen = async {
        shared.forget()?;
        shared.ours().hydrate()?;
        shared.ours().sync()?;
        let packed = fs::metadata(shared.archive())?.modified()?;
        shared.python("sync").await?;
        let rewrote = fs::metadata(shared.archive())?.modified()? != packed;
        shared.ours().sync()?;
        shared.forget()?;
        shared.python("hydrate").await?;
        shared.write("from python", b"python")?;
        let after_python = shared.found()?;
        shared.ours().hydrate()?;
        shared.python("sync").await?;
        shared.ours().sync()?;
        shared.forget()?;
        shared.ours().hydrate()?;
        Ok(json!({
            "python rewrote the archive for nothing": rewrote,
            "after python": after_python,
            "after ours": shared.found()?,
        }))
    };
    (seen.await, begun)
}
