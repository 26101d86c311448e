use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::memory_disk::{MemoryDisk, Trouble, Volume};
use super::report;
use crate::job::JobId;
use crate::journal::Journal;
use crate::journal::hands::Hands;
use crate::journal::keeper::{Begin, Keeper};

const KINDS: [ErrorKind; 5] = [
    ErrorKind::StorageFull,
    ErrorKind::QuotaExceeded,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::PermissionDenied,
    ErrorKind::Other,
];

async fn open(disk: MemoryDisk) -> Keeper {
    open_with(Journal::at("/journal"), disk).await
}

async fn open_with(journal: Journal, disk: MemoryDisk) -> Keeper {
    Keeper::open_on(journal, Arc::new(disk), Hands::of_this_runtime()).await
}

#[tokio::test]
async fn a_disk_that_fails_at_any_step_fails_no_job() {
    for kind in KINDS {
        for from in 0..40 {
            let volume = Arc::<Mutex<Volume>>::default();
            let disk = MemoryDisk::new(1, &volume, Trouble::FailFrom(from, kind));
            let journal = open(disk).await;
            for (number, delivered) in [true, false, true].into_iter().enumerate() {
                let job = JobId::from(format!("j{number}").as_str());
                assert!(
                    matches!(journal.begin(&job).await, Begin::Run),
                    "{kind:?} from step {from}"
                );
                let kept = journal.keep(&job, &report("result"));
                if delivered {
                    kept.settle();
                } else {
                    let stays = kept.park().await;
                    let there = volume.lock().unwrap().names("results");
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
    let first = MemoryDisk::new(1, &volume, Trouble::Nothing);
    let journal = open(first.clone()).await;
    assert!(journal.keep(&job, &report("kept")).park().await);
    first.die();

    // Opening takes twelve steps.
    let full = MemoryDisk::new(2, &volume, Trouble::FailFrom(12, ErrorKind::StorageFull));
    let journal = open(full).await;
    assert!(journal.is_on());
    let other = JobId::from("other");
    assert!(matches!(journal.begin(&other).await, Begin::Run));
    assert!(!journal.keep(&other, &report("lost")).park().await);
    assert!(
        matches!(journal.begin(&job).await, Begin::Answer(_)),
        "reading needs no room"
    );
    journal.keep(&job, &report("kept")).settle();
    journal.close().await;
    assert!(
        volume.lock().unwrap().names("results").is_empty(),
        "nor does removing"
    );
}

#[tokio::test]
async fn results_beyond_the_limit_are_not_kept() {
    let volume = Arc::<Mutex<Volume>>::default();
    let disk = MemoryDisk::new(1, &volume, Trouble::Nothing);
    let journal = open_with(Journal::at("/journal").most_bytes(1000), disk).await;
    let keep = async |job: &str| journal.keep(&job.into(), &report(&"x".repeat(500))).park().await;
    assert!(keep("one").await);
    assert!(!keep("two").await, "there is room for one");
    journal.keep(&"one".into(), &report("again")).settle();
    while !volume.lock().unwrap().names("results").is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(keep("two").await, "a delivered result makes room");
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_could_not_be_opened_for_want_of_room_is_opened_when_there_is_some() {
    let volume = Arc::<Mutex<Volume>>::default();
    let disk = MemoryDisk::new(1, &volume, Trouble::FailFrom(0, ErrorKind::StorageFull));
    let journal = open(disk.clone()).await;
    let job = JobId::from("j");
    assert!(matches!(journal.begin(&job).await, Begin::Run));
    assert!(!journal.keep(&job, &report("lost")).park().await);
    disk.heal();
    // Left alone for a minute, and looked after every 15 s.
    tokio::time::sleep(Duration::from_secs(76)).await;
    assert!(matches!(journal.begin(&job).await, Begin::Run));
    assert!(journal.keep(&job, &report("kept")).park().await);
    journal.close().await;
}
