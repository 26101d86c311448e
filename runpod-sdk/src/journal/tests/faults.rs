use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use super::memory_disk::{MemoryDisk, Trouble, Volume};
use super::report;
use crate::job::JobId;
use crate::journal::Journal;
use crate::journal::keeper::{Begin, Keeper};

const KINDS: [ErrorKind; 5] = [
    ErrorKind::StorageFull,
    ErrorKind::QuotaExceeded,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::PermissionDenied,
    ErrorKind::Other,
];

#[tokio::test]
async fn a_disk_that_fails_at_any_step_fails_no_job() {
    for kind in KINDS {
        for from in 0..40 {
            let volume = Arc::<Mutex<Volume>>::default();
            let disk = MemoryDisk::new(1, &volume, Trouble::FailFrom(from, kind));
            let journal = Keeper::open_on(Journal::at("/journal"), Arc::new(disk)).await;
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
    let journal = Keeper::open_on(Journal::at("/journal"), Arc::new(first.clone())).await;
    assert!(journal.keep(&job, &report("kept")).park().await);
    first.die();

    // Opening takes twelve steps.
    let full = MemoryDisk::new(2, &volume, Trouble::FailFrom(12, ErrorKind::StorageFull));
    let journal = Keeper::open_on(Journal::at("/journal"), Arc::new(full)).await;
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
    let journal = Keeper::open_on(Journal::at("/journal").most_bytes(1000), Arc::new(disk)).await;
    let keep = async |job: &str| journal.keep(&job.into(), &report(&"x".repeat(500))).park().await;
    assert!(keep("one").await);
    assert!(!keep("two").await, "there is room for one");
    journal.keep(&"one".into(), &report("again")).settle();
    while !volume.lock().unwrap().names("results").is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(keep("two").await, "a delivered result makes room");
}
