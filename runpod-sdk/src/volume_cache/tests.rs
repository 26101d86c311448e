use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{LEASE, Synced, THRESHOLD, VolumeCache, finish_syncs};

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

    /// Everything that is cached here is gone, as on a new worker.
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

/// Hugging Face's layout: the snapshot is links into `blobs`.
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

#[test]
fn a_hugging_face_cache_comes_back_whole_links_and_references_included() {
    let pod = Pod::new();
    with_a_model(&pod);
    let before = pod.everything();
    assert_eq!(pod.cache().sync().unwrap(), Synced::Written(3));
    pod.forget();
    assert_eq!(pod.cache().hydrate().unwrap(), 5);
    assert_eq!(pod.everything(), before);
    assert_eq!(
        pod.read("cache/hub/models--o--n/snapshots/c0ffee/config.json"),
        "config"
    );
    assert_eq!(pod.cache().hydrate().unwrap(), 0, "nothing is missing any more");
    assert_eq!(pod.cache().sync().unwrap(), Synced::Written(0));
}

#[test]
fn the_layout_is_the_one_that_python_reads() {
    let pod = Pod::new();
    with_a_model(&pod);
    pod.write("cache/exactly", vec![0; usize::try_from(THRESHOLD).unwrap()]);
    pod.write(
        "cache/just.below",
        vec![0; usize::try_from(THRESHOLD).unwrap() - 1],
    );
    pod.cache().sync().unwrap();
    let manifest = pod.manifest();
    assert_eq!(
        (&manifest["version"], &manifest["threshold"]),
        (&json!(1), &json!(262_144))
    );
    assert_eq!(
        pod.listed("small"),
        ["/hub/models--o--n/blobs/aaaa", "/just.below"]
    );
    assert_eq!(pod.listed("big"), ["/exactly", "/hub/models--o--n/blobs/bbbb"]);
    assert_eq!(pod.listed("refs"), ["/hub/models--o--n/refs/main"]);
    assert_eq!(pod.listed("links").len(), 2);
    let entry = manifest["small"][0].as_object().unwrap();
    assert_eq!(entry.keys().collect::<Vec<_>>(), ["path", "size", "mtime"]);
    let big = pod
        .root()
        .join("big")
        .join(pod.path("cache/exactly").strip_prefix("/").unwrap());
    assert!(big.is_file());
}

#[test]
fn locks_unfinished_files_and_notes_of_absence_are_left_out() {
    let pod = Pod::new();
    for name in ["a.lock", "b.rpvc.tmp", ".no_exist/c", "x/.no_exist/d"] {
        pod.write(&format!("cache/{name}"), "no");
    }
    pod.write("cache/kept", "yes");
    pod.cache().sync().unwrap();
    assert_eq!(pod.listed("small"), ["/kept"]);
}

#[test]
fn a_local_file_that_is_not_older_stays_and_one_that_is_gets_replaced() {
    let pod = Pod::new();
    for name in ["small", "big"] {
        pod.write(
            &format!("cache/{name}"),
            vec![1; if name == "big" { BIG } else { 10 }],
        );
    }
    pod.cache().sync().unwrap();
    let age = |name: &str, by: u64| {
        let file = fs::File::options()
            .write(true)
            .open(pod.path(&format!("cache/{name}")))
            .unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(by))
            .unwrap();
    };
    for name in ["small", "big"] {
        age(name, 1);
    }
    assert_eq!(
        pod.cache().hydrate().unwrap(),
        0,
        "two seconds are what coarse clocks make"
    );
    for name in ["small", "big"] {
        age(name, 60);
    }
    assert_eq!(pod.cache().hydrate().unwrap(), 2);
    pod.write("cache/small", "other size");
    pod.write("cache/small", "of another size");
    assert_eq!(pod.cache().hydrate().unwrap(), 1);
}

#[test]
fn what_is_gone_here_is_not_brought_back() {
    let pod = Pod::new();
    with_a_model(&pod);
    pod.write("cache/old", "gone soon");
    pod.write("cache/large", vec![1; BIG]);
    pod.cache().sync().unwrap();
    fs::remove_file(pod.path("cache/old")).unwrap();
    fs::remove_file(pod.path("cache/large")).unwrap();
    let mut cache = pod.cache();
    cache.sync().unwrap();
    let orphan = pod
        .root()
        .join("big")
        .join(pod.path("cache/large").strip_prefix("/").unwrap());
    assert!(
        orphan.exists(),
        "another writer may be about to name it, so it stays for a while"
    );
    cache.lease = Duration::ZERO;
    cache.sync().unwrap();
    assert!(!orphan.exists(), "orphans are removed");
    pod.forget();
    cache.hydrate().unwrap();
    assert!(!pod.path("cache/old").exists() && !pod.path("cache/large").exists());
}

#[test]
fn by_content_a_change_that_size_and_time_hide_is_seen() {
    let pod = Pod::new();
    pod.write("cache/small", "one");
    pod.write("cache/big", vec![1; BIG]);
    let cache = pod.cache().compare_content(true);
    cache.sync().unwrap();
    let (small, big) = (pod.path("cache/small"), pod.path("cache/big"));
    let times = [&small, &big].map(|path| fs::metadata(path).unwrap().modified().unwrap());
    pod.write("cache/small", "two");
    pod.write("cache/big", vec![2; BIG]);
    for (path, time) in [&small, &big].into_iter().zip(times) {
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    assert_eq!(
        pod.cache().hydrate().unwrap(),
        0,
        "by size and time they are the same"
    );
    assert_eq!(cache.hydrate().unwrap(), 2);
    assert_eq!(pod.read("cache/small"), "one");
    pod.write("cache/big", vec![3; BIG]);
    assert_eq!(cache.sync().unwrap(), Synced::Written(1));
}

#[test]
fn content_that_was_damaged_on_the_volume_is_not_restored() {
    let pod = Pod::new();
    pod.write("cache/big", vec![1; BIG]);
    let cache = pod.cache().compare_content(true);
    cache.sync().unwrap();
    let stored = pod
        .root()
        .join("big")
        .join(pod.path("cache/big").strip_prefix("/").unwrap());
    fs::write(stored, vec![9; BIG]).unwrap();
    pod.forget();
    assert_eq!(cache.hydrate().unwrap(), 0);
    assert!(pod.everything().is_empty(), "no unfinished file either");
}

#[test]
fn a_hostile_manifest_writes_nothing_outside_of_the_directories() {
    let pod = Pod::new();
    pod.write("secret", "do not touch");
    let outside = pod.path("secret").display().to_string();
    let inside = pod.path("cache").display().to_string();
    pod.link("cache/door", "..");
    pod.link("cache/nowhere", "/no/such/folder");
    let before = pod.everything();
    let paths = [
        outside.clone(),
        "/etc/passwd".to_owned(),
        format!("{inside}/../secret"),
        format!("{inside}/./../secret"),
        format!("{inside}/door/secret"),
        format!("{inside}/door/fresh"),
        format!("{inside}/nowhere/fresh"),
        format!("{inside}/a\0b"),
        format!("{inside}evil"),
        inside.clone(),
        "secret".to_owned(),
        "../secret".to_owned(),
        String::new(),
    ];
    let entries: Vec<Value> = paths
        .iter()
        .map(|path| json!({ "path": path, "size": 5, "mtime": 9e9 }))
        .collect();
    let mut links = vec![
        json!({ "path": outside, "target": "cache" }),
        json!({ "path": format!("{inside}/l1"), "target": "/etc" }),
        json!({ "path": format!("{inside}/l2"), "target": "../secret" }),
        json!({ "path": format!("{inside}/l3"), "target": "x/../../secret" }),
        json!({ "path": format!("{inside}/door/l4"), "target": "cache/x" }),
        json!({ "path": format!("{inside}/l5"), "target": format!("{inside}/../secret") }),
    ];
    links.extend(
        paths
            .iter()
            .map(|path| json!({ "path": path, "target": "/etc/passwd" })),
    );
    pod.put_manifest(
        &json!({ "version": 1, "threshold": 262_144, "small": entries, "big": entries, "links": links }),
    );
    // Each has a source that could be copied.
    for path in &paths {
        let file = pod.root().join("big").join(path.trim_start_matches('/'));
        if !path.contains(['\0']) && !path.is_empty() && !file.exists() && !path.contains("..") {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "evil!").unwrap_or(());
        }
    }
    let mut archive = tar::Builder::new(fs::File::create(pod.root().join("small.tar")).unwrap());
    for path in paths
        .iter()
        .filter(|path| !path.contains('\0') && !path.is_empty())
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o644);
        // Past the checks of the library.
        let name = path.trim_start_matches('/').as_bytes();
        if name.len() <= 100 {
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
            header.set_cksum();
            archive.append(&header, b"evil!".as_slice()).unwrap();
        }
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    let name = format!("{}/hole", inside.trim_start_matches('/'));
    archive.append_link(&mut header, name, "/etc").unwrap();
    archive.finish().unwrap();

    pod.cache().hydrate().unwrap();
    assert_eq!(pod.everything(), before);
}

#[test]
fn a_source_outside_of_the_cache_is_not_read() {
    let pod = Pod::new();
    pod.write("secret", "for nobody");
    let wanted = pod.path("cache/stolen").display().to_string();
    pod.put_manifest(
        &json!({ "version": 1, "big": [{ "path": wanted, "size": 10, "mtime": 1.0 }], "threshold": 262_144 }),
    );
    let link = pod.root().join("big").join(wanted.trim_start_matches('/'));
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(pod.path("secret"), link).unwrap();
    assert_eq!(pod.cache().hydrate().unwrap(), 0);
    assert!(!pod.path("cache/stolen").exists());
}

#[test]
fn a_torn_or_unknown_manifest_counts_as_none_and_the_next_sync_heals_it() {
    let pod = Pod::new();
    with_a_model(&pod);
    pod.cache().sync().unwrap();
    let whole = fs::read(pod.root().join("manifest.json")).unwrap();
    let newer = br#"{"version": 2, "threshold": 1, "small": []}"#;
    for text in [
        &whole[..whole.len() / 2],
        b"",
        b"[]",
        b"\xff\xfe",
        newer,
        br#"{"version":1,"threshold":1,"small":7}"#,
    ] {
        fs::write(pod.root().join("manifest.json"), text).unwrap();
        assert_eq!(pod.cache().hydrate().unwrap(), 0);
        pod.cache().sync().unwrap();
        assert_eq!(pod.listed("links").len(), 2);
    }
}

#[test]
fn a_torn_archive_gives_what_can_be_read_of_it_and_breaks_nothing() {
    let pod = Pod::new();
    for number in 0..20 {
        pod.write(&format!("cache/{number}"), vec![number; 4000]);
    }
    pod.cache().sync().unwrap();
    let archive = pod.root().join("small.tar");
    let whole = fs::read(&archive).unwrap();
    fs::write(&archive, &whole[..whole.len() / 2 + 100]).unwrap();
    pod.forget();
    let restored = pod.cache().hydrate().unwrap();
    let found = pod.everything();
    assert!(restored > 0 && restored < 20, "{restored}");
    assert_eq!(found.len(), restored);
    assert!(
        found.values().all(|content| content.len() == 4000),
        "each is whole"
    );
}

#[test]
fn one_writer_at_a_time_and_a_silent_one_is_replaced() {
    let pod = Pod::new();
    pod.write("cache/file", "x");
    fs::create_dir_all(pod.root()).unwrap();
    let lock = pod.root().join("sync.lock");
    let now = super::copy::seconds(SystemTime::now());
    let held =
        |until: f64| fs::write(&lock, json!({ "owner": "other", "until": until }).to_string()).unwrap();
    held(now + 100.0);
    assert_eq!(pod.cache().sync().unwrap(), Synced::Busy);
    assert!(lock.exists(), "it is left to its owner");
    held(now - 1.0);
    assert_eq!(pod.cache().sync().unwrap(), Synced::Written(1));
    assert!(!lock.exists(), "it is given back");
    fs::write(&lock, "{\"own").unwrap();
    assert_eq!(
        pod.cache().sync().unwrap(),
        Synced::Busy,
        "torn, or just being written"
    );
    let file = fs::File::options().write(true).open(&lock).unwrap();
    file.set_modified(SystemTime::now() - LEASE).unwrap();
    assert_eq!(pod.cache().sync().unwrap(), Synced::Written(0));
}

#[test]
fn workers_that_sync_and_hydrate_at_once_leave_a_whole_cache() {
    let pod = Pod::new();
    with_a_model(&pod);
    for number in 0..50_u8 {
        pod.write(
            &format!("cache/{number}"),
            vec![number; 1000 * usize::from(number)],
        );
    }
    let before = pod.everything();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    pod.cache().sync().unwrap();
                    pod.cache().hydrate().unwrap();
                }
            });
        }
    });
    assert_eq!(pod.everything(), before);
    pod.forget();
    pod.cache().hydrate().unwrap();
    assert_eq!(pod.everything(), before);
}

/// The body of the next test, in a process that may not write large files.
#[test]
#[ignore = "run by the test below, within a limit"]
fn within_a_limit_of_the_file_size() {
    let folder = PathBuf::from(std::env::var_os("LIMITED_FOLDER").unwrap());
    let cache = VolumeCache::new([folder.join("cache")])
        .namespace("ep")
        .volume(folder.join("volume"));
    assert!(cache.sync().is_err(), "the archive does not fit");
}

#[test]
fn a_volume_that_is_full_keeps_the_cache_as_it_was() {
    let pod = Pod::new();
    pod.write("cache/first", "here before");
    pod.cache().sync().unwrap();
    let manifest = pod.manifest();
    let archive = fs::read(pod.root().join("small.tar")).unwrap();
    for number in 0..4 {
        pod.write(&format!("cache/{number}"), vec![1; 100_000]);
    }
    pod.write("cache/large", vec![1; BIG]);
    // 64 KiB a file. A write beyond that fails in its middle, as on a full disk.
    let shell = r#"ulimit -f 128; trap '' XFSZ; exec "$0" --exact --ignored "$1""#;
    let output = Command::new("sh")
        .args(["-c", shell])
        .arg(std::env::current_exe().unwrap())
        .arg("volume_cache::tests::within_a_limit_of_the_file_size")
        .env("LIMITED_FOLDER", pod.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(pod.manifest(), manifest);
    assert_eq!(fs::read(pod.root().join("small.tar")).unwrap(), archive);
    let left: Vec<_> = fs::read_dir(pod.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rpvc.tmp") || name == "sync.lock")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_scope_restores_at_its_beginning_and_mirrors_at_its_end() {
    let pod = Pod::new();
    pod.write("cache/file", "x");
    drop(pod.cache().scope());
    assert!(finish_syncs(Duration::from_mins(1)));
    pod.forget();
    let scope = pod.cache().scope();
    assert_eq!(pod.read("cache/file"), "x");
    pod.write("cache/new", "y");
    drop(scope);
    assert!(finish_syncs(Duration::from_mins(1)));
    assert_eq!(pod.listed("small"), ["/file", "/new"]);
}

#[test]
fn without_a_volume_or_a_namespace_nothing_happens() {
    let pod = Pod::new();
    pod.write("cache/file", "x");
    for cache in [
        pod.cache().namespace(""),
        pod.cache().volume(pod.path("not/mounted")),
    ] {
        assert!(!cache.is_available());
        assert_eq!(cache.sync().unwrap(), Synced::Unavailable);
        assert_eq!(cache.hydrate().unwrap(), 0);
    }
    assert!(!pod.path("not").exists());
}

#[test]
fn a_worker_that_has_none_of_the_directories_does_not_empty_the_cache() {
    let pod = Pod::new();
    with_a_model(&pod);
    pod.cache().sync().unwrap();
    fs::remove_dir_all(pod.path("cache")).unwrap();
    assert_eq!(pod.cache().sync().unwrap(), Synced::Unavailable);
    assert_eq!(pod.cache().hydrate().unwrap(), 5);
}

#[test]
fn a_namespace_is_one_plain_part_of_a_path() {
    let pod = Pod::new();
    for name in ["..", ".", "a/b", "/etc", "a\\b", "a\0b"] {
        let error = pod.cache().namespace(name).sync().unwrap_err().to_string();
        assert!(
            error.ends_with("must be one plain part of a path"),
            "{name:?}: {error}"
        );
    }
}
