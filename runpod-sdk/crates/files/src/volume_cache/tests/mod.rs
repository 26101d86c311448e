//! A pod with a volume and a cache.

mod damage;
mod mirror;
mod workers;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::VolumeCache;

const BIG: usize = 300 * 1024;

/// A volume, and one directory that is cached on it.
struct Pod {
    folder: tempfile::TempDir,
}

impl Pod {
    fn new() -> Self {
        let pod = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(pod.path("volume")).unwrap();
        fs::create_dir(pod.path("cache")).unwrap();
        pod
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    fn cache(&self) -> VolumeCache {
        VolumeCache::new([self.path("cache")])
            .namespace("ep")
            .volume(self.path("volume"))
    }

    fn root(&self) -> PathBuf {
        self.path("volume/.cache/ep")
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Empties the cached directory, as on a new worker.
    fn forget(&self) {
        fs::remove_dir_all(self.path("cache")).unwrap();
        fs::create_dir(self.path("cache")).unwrap();
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&fs::read(self.root().join("manifest.json")).unwrap()).unwrap()
    }

    fn put_manifest(&self, manifest: &Value) {
        fs::create_dir_all(self.root().join("big")).unwrap();
        fs::write(self.root().join("manifest.json"), manifest.to_string()).unwrap();
    }

    fn listed(&self, key: &str) -> Vec<String> {
        let here = self.path("cache").display().to_string();
        let manifest = self.manifest();
        let entries = manifest[key].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["path"].as_str().unwrap().replace(&here, ""))
            .collect()
    }

    /// Every file and link outside the volume, with its content or target.
    fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        fn walk(folder: &Path, top: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(top).unwrap().display().to_string();
                if path.is_symlink() {
                    let target = fs::read_link(&path).unwrap();
                    found.insert(name, target.to_str().unwrap().as_bytes().to_vec());
                } else if path.is_dir() {
                    walk(&path, top, found);
                } else {
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.path(""), &self.path(""), &mut found);
        found.retain(|name, _| !name.starts_with("volume/"));
        found
    }
}

/// Writes a model in Hugging Face's layout: the snapshot consists of links into `blobs`.
fn with_a_model(pod: &Pod) {
    pod.write("cache/hub/models--o--n/blobs/aaaa", "config");
    pod.write("cache/hub/models--o--n/blobs/bbbb", vec![7; BIG]);
    pod.write("cache/hub/models--o--n/refs/main", "c0ffee");
    pod.link(
        "cache/hub/models--o--n/snapshots/c0ffee/config.json",
        "../../blobs/aaaa",
    );
    pod.link(
        "cache/hub/models--o--n/snapshots/c0ffee/model.safetensors",
        "../../blobs/bbbb",
    );
}
