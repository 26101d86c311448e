//! Volumes that are torn, damaged, full or hostile.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{BIG, Pod, with_a_model};
use crate::volume_cache::VolumeCache;

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
    pod.write("secret", "is secret");
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
        .arg("volume_cache::tests::damage::within_a_limit_of_the_file_size")
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

/// The header of an entry, past the checks of the library.
fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..10].copy_from_slice(b"longheader");
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(1);
    header.set_size(size);
    header.set_cksum();
    header
}

#[test]
fn an_archive_with_headers_or_entries_without_end_is_left_at_once() {
    for kind in [
        tar::EntryType::GNULongName,
        tar::EntryType::GNULongLink,
        tar::EntryType::XHeader,
        tar::EntryType::XGlobalHeader,
        tar::EntryType::Regular,
        tar::EntryType::GNUSparse,
    ] {
        let pod = Pod::new();
        pod.write("cache/good", "small");
        pod.cache().sync().unwrap();
        let archive = pod.root().join("small.tar");
        let whole = fs::read(&archive).unwrap();
        // Behind the first entry, sparse, so that it takes no space on the disk of this machine: 1 TiB of zeros.
        let first = whole.len() - 1024;
        let mut hostile = fs::File::create(&archive).unwrap();
        std::io::Write::write_all(&mut hostile, &whole[..first]).unwrap();
        std::io::Write::write_all(&mut hostile, header(kind, 1 << 40).as_bytes()).unwrap();
        hostile.set_len(1 << 40).unwrap();
        drop(hostile);
        pod.forget();
        assert_eq!(pod.cache().hydrate().unwrap(), 1, "{kind:?}");
        assert_eq!(pod.read("cache/good"), "small");
    }
}

#[test]
fn pipes_and_files_without_end_in_the_place_of_the_caches_own_are_no_files() {
    let pod = Pod::new();
    with_a_model(&pod);
    pod.cache().sync().unwrap();
    let places: Vec<PathBuf> = ["manifest.json", "small.tar", "sync.lock"]
        .map(|name| pod.root().join(name))
        .into();
    for place in &places {
        let kept = fs::read(place).ok();
        let _ = fs::remove_file(place);
        assert!(Command::new("mkfifo").arg(place).status().unwrap().success());
        pod.cache().hydrate().unwrap();
        pod.cache().sync().unwrap();
        fs::remove_file(place).unwrap();
        fs::File::create(place).unwrap().set_len(1 << 40).unwrap();
        pod.cache().hydrate().unwrap();
        fs::remove_file(place).unwrap();
        if let Some(kept) = kept {
            fs::write(place, kept).unwrap();
        }
    }
}
