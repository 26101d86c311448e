//! Several workers at once, scopes, and workers without a cache.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{Pod, with_a_model};
use crate::volume_cache::cache::LEASE;
use crate::volume_cache::{Synced, VolumeCache, finish_syncs};

#[test]
fn one_writer_at_a_time_and_a_silent_one_is_replaced() {
    let pod = Pod::new();
    pod.write("cache/file", "x");
    fs::create_dir_all(pod.root()).unwrap();
    let lock = pod.root().join("sync.lock");
    let now = crate::volume_cache::atomic_file::seconds(SystemTime::now());
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

#[test]
fn variables_win_over_the_code() {
    let pod = Pod::new();
    pod.write("cache/file", "x");
    let volume = pod.path("volume").display().to_string();
    let with = |variables: &[(&str, &str)]| {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        VolumeCache::from_lookup(lookup, [pod.path("cache")])
    };
    let endpoint = ("RUNPOD_ENDPOINT_ID", "endpoint");
    let cache = with(&[
        endpoint,
        ("RUNPOD_WORKER_CACHE_VOLUME", &volume),
        ("RUNPOD_WORKER_CACHE_NAMESPACE", "shared"),
    ]);
    let cache = cache.volume("/elsewhere").namespace("mine");
    assert_eq!(cache.sync().unwrap(), Synced::Written(1));
    assert!(pod.path("volume/.cache/shared/manifest.json").is_file());

    let unset = [
        endpoint,
        ("RUNPOD_WORKER_CACHE_VOLUME", ""),
        ("RUNPOD_WORKER_CACHE_NAMESPACE", ""),
    ];
    for variables in [&unset[..1], &unset] {
        let cache = with(variables).volume(&volume);
        assert!(cache.is_available());
        cache.sync().unwrap();
        assert!(pod.path("volume/.cache/endpoint/manifest.json").is_file());
    }
}
