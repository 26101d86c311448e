//! Several processes on one directory, on the real disk.

use runpod_protocol::sync::Mutex;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::memory_disk::{DiskFault, MemoryDisk, Volume};
use super::{body, report};
use crate::job::JobId;
use crate::journal::disk::RealDisk;
use crate::journal::health::DiskHealth;
use crate::journal::name::{JobKey, folder_of};
use crate::journal::store::{JobHistory, Store, WriteOutcome};
use crate::settings::Journal;

fn open(dir: &TempDir) -> Store {
    let health = DiskHealth::new(dir.path().into());
    Store::open(Journal::at(dir.path()).crashes(2), Arc::new(RealDisk), health).unwrap()
}

fn folder(dir: &TempDir, kind: &str) -> PathBuf {
    dir.path().join("v1").join(folder_of(None)).join(kind)
}

fn write(store: &Store, job: &str) {
    let written = store.write(&job.into(), &report(job), &|| true).unwrap();
    assert_eq!(written, WriteOutcome::Stored);
}

#[test]
fn what_a_living_process_delivers_is_left_to_it() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (open(&dir), open(&dir));
    write(&one, "j");
    assert!(other.leftovers(&|_| false).unwrap().is_empty());
    assert!(one.leftovers(&|_| true).unwrap().is_empty(), "busy with it");
    assert_eq!(
        one.leftovers(&|_| false).unwrap().len(),
        1,
        "its own, and it is not being delivered"
    );
    drop(one);
    assert_eq!(other.leftovers(&|_| false).unwrap().len(), 1, "its lock is gone");
}

#[test]
fn endpoints_that_share_a_directory_neither_deliver_nor_drop_nor_count_each_others_results() {
    let dir = TempDir::new().unwrap();
    let open = |endpoint: Option<&str>| {
        let mut journal = Journal::at(dir.path()).crashes(1);
        journal.endpoint = endpoint.map(str::to_owned);
        Store::open(journal, Arc::new(RealDisk), DiskHealth::new(dir.path().into())).unwrap()
    };
    let dead = open(Some("one"));
    write(&dead, "j");
    assert!(matches!(dead.begin(&"crashed".into()), JobHistory::Run));
    drop(dead);
    for other in [Some("two"), Some("../one"), Some("one/"), None] {
        let store = open(other);
        assert!(store.leftovers(&|_| false).unwrap().is_empty(), "{other:?}");
        for job in ["j", "crashed"] {
            assert!(matches!(store.begin(&job.into()), JobHistory::Run), "{other:?}");
        }
        store.settle(&JobKey::of(&"j".into()));
        store.close();
    }
    let next = open(Some("one"));
    assert!(matches!(next.begin(&"crashed".into()), JobHistory::Poisonous(_)));
    assert!(matches!(
        open(Some("two")).begin(&"crashed".into()),
        JobHistory::Run
    ));
    assert!(next.stored(&"j".into()).is_some(), "it is still there");
}

#[test]
fn only_one_of_two_takes_a_result_over() {
    let dir = TempDir::new().unwrap();
    let dead = open(&dir);
    write(&dead, "j");
    drop(dead);
    let (one, other) = (open(&dir), open(&dir));
    let (seen_by_one, seen_by_other) = (
        one.leftovers(&|_| false).unwrap(),
        other.leftovers(&|_| false).unwrap(),
    );
    assert_eq!(seen_by_one, seen_by_other);
    assert!(one.adopt(&seen_by_one[0]).is_some());
    assert!(other.adopt(&seen_by_other[0]).is_none());
    assert!(other.leftovers(&|_| false).unwrap().is_empty());
}

#[test]
fn a_job_that_another_living_process_runs_has_not_crashed() {
    let dir = TempDir::new().unwrap();
    let job = JobId::from("j");
    let processes = [open(&dir), open(&dir), open(&dir)];
    for process in &processes {
        assert!(matches!(process.begin(&job), JobHistory::Run));
    }
    drop(processes);
    assert!(matches!(open(&dir).begin(&job), JobHistory::Poisonous(times) if times.len() == 3));
}

#[test]
fn the_first_result_of_a_job_is_its_result() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (open(&dir), open(&dir));
    let job = JobId::from("j");
    write(&one, "j");
    for store in [&one, &other] {
        let written = store.write(&job, &report("second"), &|| true).unwrap();
        assert_eq!(written, WriteOutcome::Stored, "there is one, so nothing is lost");
        let files = std::fs::read_dir(folder(&dir, "results")).unwrap();
        assert_eq!(files.count(), 1);
        for reader in [&one, &other] {
            let begun = reader.begin(&job);
            assert!(matches!(begun, JobHistory::Stored(found) if body(&found) == r#"{"output": "j"}"#));
        }
    }
}

#[test]
fn without_locks_a_process_is_dead_after_a_minute_of_silence() {
    let volume = Arc::<Mutex<Volume>>::default();
    let open = |process| {
        let disk = MemoryDisk::new(process, &volume, DiskFault::Nothing).without_locks();
        let health = DiskHealth::new("/journal".into());
        Store::open(Journal::at("/journal"), Arc::new(disk), health).unwrap()
    };
    let (one, other) = (open(1), open(2));
    write(&one, "j");
    for (passed, found) in [(50, 0), (20, 1)] {
        volume.lock().pass(Duration::from_secs(passed));
        assert_eq!(other.leftovers(&|_| false).unwrap().len(), found);
    }
}

#[test]
fn a_file_that_is_cut_is_set_aside_and_its_job_runs() {
    let dir = TempDir::new().unwrap();
    let dead = open(&dir);
    write(&dead, "j");
    drop(dead);
    let results = folder(&dir, "results");
    let file = std::fs::read_dir(&results)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let store = open(&dir);
        assert!(
            matches!(store.begin(&"j".into()), JobHistory::Run),
            "cut at {length}"
        );
        assert_eq!(std::fs::read_dir(&results).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(folder(&dir, "unreadable")).unwrap().count(), 1);
        std::fs::remove_dir_all(folder(&dir, "unreadable")).unwrap();
        store.close();
    }
}

#[test]
fn nobody_else_may_read_a_result() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    write(&store, "j");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let root = dir.path().join("v1").join(folder_of(None));
    assert_eq!(mode(&root), 0o700);
    for kind in ["results", "workers"] {
        assert_eq!(mode(&root.join(kind)), 0o700);
        for file in std::fs::read_dir(root.join(kind)).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }
}

#[test]
fn a_result_that_is_delivered_first_is_not_written() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    // `wanted` is called before the file is created, before each step, and before and after the sync.
    for times in 0..5_u32 {
        let left = std::cell::Cell::new(times);
        let wanted = || {
            let now = left.get();
            left.set(now.saturating_sub(1));
            now > 0
        };
        let written = store.write(&"j".into(), &report("x"), &wanted).unwrap();
        assert_eq!(written, WriteOutcome::NotWanted, "{times}");
        for kind in ["results", "writing"] {
            assert_eq!(std::fs::read_dir(folder(&dir, kind)).unwrap().count(), 0);
        }
    }
}

#[test]
fn what_was_delivered_answers_its_job_until_it_expires_or_its_room_is_needed() {
    let volume = Arc::<Mutex<Volume>>::default();
    let open = |process, journal: Journal| {
        let disk = MemoryDisk::new(process, &volume, DiskFault::Nothing);
        Store::open(journal, Arc::new(disk), DiskHealth::new("/journal".into())).unwrap()
    };
    let dead = open(1, Journal::at("/journal"));
    for job in ["early", "late", "asked"] {
        write(&dead, job);
    }
    dead.close();
    let room_for_three = 3 * 110;
    let next = open(2, Journal::at("/journal").most_bytes(room_for_three));
    let leftovers = next.leftovers(&|_| false).unwrap();
    assert_eq!(leftovers.len(), 3);
    for leftover in leftovers {
        assert!(next.adopt(&leftover).is_some());
        next.delivered(&leftover.key);
    }
    assert!(
        next.leftovers(&|_| false).unwrap().is_empty(),
        "nothing is to be delivered"
    );
    let stored = |store: &Store, job: &str| store.stored(&job.into()).map(|found| body(&found));
    assert_eq!(stored(&next, "asked").as_deref(), Some(r#"{"output": "asked"}"#));
    // Once its job is taken again it is an ordinary result, and is not removed to make room.
    write(&next, "new");
    assert_eq!(stored(&next, "early"), None, "it has made room");
    assert_eq!(stored(&next, "asked").as_deref(), Some(r#"{"output": "asked"}"#));
    next.delivered(&JobKey::of(&"asked".into()));
    volume.lock().pass(Duration::from_mins(31));
    next.leftovers(&|_| true).unwrap();
    assert_eq!(stored(&next, "asked"), None, "it has expired");
}

/// Names like those of results, one of a process that seems to live and one of a dead one.
#[test]
fn what_is_no_result_takes_no_space_and_is_not_read_whole() {
    let dir = TempDir::new().unwrap();
    let (living, store) = (open(&dir), open(&dir));
    let results = folder(&dir, "results");
    let owner = std::fs::read_dir(folder(&dir, "workers")).unwrap();
    let owners: Vec<String> = owner
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    // Sparse, so that it takes no space on the disk of this machine.
    let junk = |name: &str| {
        let file = std::fs::File::create(results.join(name)).unwrap();
        file.set_len(2 << 30).unwrap();
    };
    for (number, owner) in owners.iter().enumerate() {
        junk(&format!("job-{number}@{owner}"));
    }
    junk("job-of-a-dead@0123456789abcdef0123456789abcdef");
    junk("notes.txt");
    let pipe = results.join("pipe@0123456789abcdef0123456789abcdef");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());

    assert!(store.leftovers(&|_| false).unwrap().is_empty());
    write(&store, "j");
    assert!(store.stored(&"job-of-a-dead".into()).is_none());
    assert!(
        folder(&dir, "unreadable")
            .join("job-of-a-dead@0123456789abcdef0123456789abcdef")
            .exists()
    );
    assert_eq!(
        store.leftovers(&|_| false).unwrap().len(),
        1,
        "the result is found beside them"
    );
    drop(living);
}
