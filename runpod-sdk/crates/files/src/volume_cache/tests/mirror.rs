//! The content of a cache in both directions, and what is left out.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{BIG, Pod, with_a_model};
use crate::volume_cache::Synced;
use crate::volume_cache::layout::THRESHOLD;

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
