use runpod_protocol::sync::Mutex;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::memory_disk::{DiskFault, MemoryDisk, Volume};
use super::report;
use crate::job::JobId;
use crate::journal::blocking_pool::BlockingPool;
use crate::journal::claims::Claim;
use crate::journal::handle::{JournalHandle, StartDecision};
use crate::journal::health::DiskHealth;
use crate::journal::name::JobKey;
use crate::journal::store::{JobHistory, Store};
use crate::settings::Journal;

const KINDS: [ErrorKind; 5] = [
    ErrorKind::StorageFull,
    ErrorKind::QuotaExceeded,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::PermissionDenied,
    ErrorKind::Other,
];

async fn open(disk: MemoryDisk) -> JournalHandle {
    open_with(Journal::at("/journal"), disk).await
}

async fn open_with(journal: Journal, disk: MemoryDisk) -> JournalHandle {
    JournalHandle::open_on(journal, Arc::new(disk), BlockingPool::of_this_runtime()).await
}

/// Whether a result that cannot be delivered ends up on the disk.
async fn parks(journal: &JournalHandle, job: &JobId, output: &str) -> bool {
    let report = report(output);
    journal.keep(job, &report, None).park(&report).await
}

#[tokio::test]
async fn a_disk_that_fails_at_any_step_fails_no_job() {
    for kind in KINDS {
        for from in 0..40 {
            let volume = Arc::<Mutex<Volume>>::default();
            let disk = MemoryDisk::new(1, &volume, DiskFault::FailFrom(from, kind));
            let journal = open(disk).await;
            for (number, delivered) in [true, false, true].into_iter().enumerate() {
                let job = JobId::from(format!("j{number}").as_str());
                let (begin, claim) = journal.begin(&job).await;
                assert!(matches!(begin, StartDecision::Run), "{kind:?} from step {from}");
                let pending = journal.keep(&job, &report("result"), claim);
                if delivered {
                    pending.settle();
                } else {
                    let stays = pending.park(&report("result")).await;
                    let there = volume.lock().names("results");
                    assert!(!stays || there.iter().any(|name| name.starts_with("j1@")));
                }
            }
            journal.close().await;
        }
    }
}

#[tokio::test]
async fn a_full_disk_still_gives_its_results_and_takes_new_ones_when_there_is_room() {
    let volume = Arc::<Mutex<Volume>>::default();
    let job = JobId::from("j");
    let first = MemoryDisk::new(1, &volume, DiskFault::Nothing);
    let journal = open(first.clone()).await;
    assert!(parks(&journal, &job, "kept").await);
    first.die();

    // Opening takes twelve steps.
    let full = MemoryDisk::new(2, &volume, DiskFault::FailFrom(12, ErrorKind::StorageFull));
    let journal = open(full).await;
    assert!(journal.is_on());
    let other = JobId::from("other");
    assert!(matches!(journal.begin(&other).await.0, StartDecision::Run));
    assert!(!parks(&journal, &other, "lost").await);
    assert!(
        matches!(journal.begin(&job).await.0, StartDecision::Answer(_)),
        "reading needs no room"
    );
    journal.keep(&job, &report("kept"), None).settle();
    journal.close().await;
    assert!(volume.lock().names("results").is_empty(), "nor does removing");
}

#[tokio::test]
async fn results_beyond_the_limit_are_not_kept() {
    let volume = Arc::<Mutex<Volume>>::default();
    let disk = MemoryDisk::new(1, &volume, DiskFault::Nothing);
    let journal = open_with(Journal::at("/journal").most_bytes(1000), disk).await;
    let large = "x".repeat(500);
    let keep = async |job: &str| parks(&journal, &job.into(), &large).await;
    assert!(keep("one").await);
    assert!(!keep("two").await, "there is room for one");
    journal.keep(&"one".into(), &report("again"), None).settle();
    while !volume.lock().names("results").is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(keep("two").await, "a delivered result makes room");
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_could_not_be_opened_for_want_of_room_is_opened_when_there_is_some() {
    let volume = Arc::<Mutex<Volume>>::default();
    let disk = MemoryDisk::new(1, &volume, DiskFault::FailFrom(0, ErrorKind::StorageFull));
    let journal = open(disk.clone()).await;
    let job = JobId::from("j");
    assert!(matches!(journal.begin(&job).await.0, StartDecision::Run));
    assert!(!parks(&journal, &job, "lost").await);
    disk.heal();
    // The disk is not tried for a minute, and the maintenance task runs every 15 s.
    tokio::time::sleep(Duration::from_secs(76)).await;
    assert!(matches!(journal.begin(&job).await.0, StartDecision::Run));
    assert!(parks(&journal, &job, "kept").await);
    journal.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_could_not_be_stored_at_first_is_stored_when_it_cannot_be_delivered() {
    let volume = Arc::<Mutex<Volume>>::default();
    // Opening takes twelve steps.
    let disk = MemoryDisk::new(1, &volume, DiskFault::FailFrom(12, ErrorKind::StorageFull));
    let journal = open(disk.clone()).await;
    let results =
        [("failed", "1"), ("left alone", "2")].map(|(job, output)| (JobId::from(job), report(output)));
    let mut all = Vec::new();
    for (job, report) in &results {
        let (begin, claim) = journal.begin(job).await;
        assert!(matches!(begin, StartDecision::Run));
        all.push((journal.keep(job, report, claim), report));
        // The paused clock waits for the disk.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(volume.lock().names("results").is_empty());
    disk.heal();
    for (pending, report) in all {
        assert!(pending.park(report).await);
    }
    journal.close().await;
    assert_eq!(volume.lock().names("results").len(), 2);
}

#[test]
fn a_file_that_cannot_be_removed_is_no_reason_to_write_no_others() {
    let volume = Arc::<Mutex<Volume>>::default();
    let disk = MemoryDisk::new(1, &volume, DiskFault::KeepAll);
    let health = DiskHealth::new("/journal".into());
    let store = Store::open(Journal::at("/journal"), Arc::new(disk), health).unwrap();
    let job = JobId::from("one");
    assert!(matches!(store.begin(&job), JobHistory::Run));
    store.write(&job, &report("x"), &|| true).unwrap();
    store.ended(&JobKey::of(&job));
    store.settle(&JobKey::of(&job));
    assert!(store.health().usable());
    assert!(matches!(store.begin(&"two".into()), JobHistory::Run));
    let marks = volume.lock().names("started");
    assert!(marks.iter().any(|mark| mark.starts_with("two@")), "{marks:?}");
}

/// An earlier run of the job has ended, but its files are still claimed.
#[tokio::test(start_paused = true)]
async fn whoever_runs_without_the_files_of_a_job_does_not_give_them_away() {
    let volume = Arc::<Mutex<Volume>>::default();
    let journal = open(MemoryDisk::new(1, &volume, DiskFault::Nothing)).await;
    let job = JobId::from("j");
    let (_, first) = journal.begin(&job).await;
    assert!(first.is_some());
    // It waits for ten seconds and continues without a claim.
    let ends: [fn(&JournalHandle, &JobId, Option<Claim>); 2] = [
        |journal, job, claim| journal.forget(job, claim),
        |journal, job, claim| journal.keep(job, &report("x"), claim).settle(),
    ];
    for end in ends {
        let (begin, claim) = journal.begin(&job).await;
        assert!(matches!(begin, StartDecision::Run) && claim.is_none());
        end(&journal, &job, claim);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (_, fourth) = journal.begin(&job).await;
    assert!(fourth.is_none(), "the first has it still");
    drop(first);
    let (_, fifth) = journal.begin(&job).await;
    assert!(fifth.is_some());
}
