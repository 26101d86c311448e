//! Disks that lost a part of a file, that are full, and that do not answer.

use serde_json::json;
use tokio::process::Command;

use super::rig::{Rig, Way, runs};
use crate::example;

#[tokio::test]
async fn a_torn_result_is_set_aside_with_a_clear_line_and_its_job_runs_again() {
    let rig = Rig::new(Way::Refused).await;
    let id = rig.dies_before_delivery("pod-1", 100).await;
    let stored = rig.files("results").remove(0);
    let whole = std::fs::read(&stored).unwrap();
    std::fs::write(&stored, &whole[..whole.len() / 2]).unwrap();
    // What a process leaves that is killed while it writes.
    let draft = rig.folder("writing").join("other-job@dead");
    std::fs::write(&draft, &whole[..whole.len() / 3]).unwrap();

    rig.results_are(Way::Open);
    let mut next = rig.start("pod-2");
    let line = next.hears("a stored result can't be read").await;
    assert!(line.contains("it is not as long as it says"), "{line}");
    let aside = rig.files("unreadable").remove(0);
    assert!(line.contains(aside.to_str().unwrap()), "{line}");
    rig.loses_patience();
    rig.is_printed(&id, 100).await;
    assert_eq!(runs(&next.drained().await), 1);
    assert!(rig.files("results").is_empty() && !draft.exists());
}

/// The disk takes files of 64 KiB and no more; the worker hears of it by an error and not by a signal.
const ON_A_SMALL_DISK: &str = r#"trap '' XFSZ && ulimit -f 128 && exec "$0""#;

#[tokio::test]
async fn a_disk_that_takes_no_more_is_named_and_costs_no_job() {
    let rig = Rig::new(Way::Refused).await;
    let mut command = Command::new("sh");
    command.args(["-c", ON_A_SMALL_DISK]).arg(example("journal"));
    let mut worker = rig.start_by(command, "pod-1");
    let large = rig.submit(json!({ "pages": 50_000 })).await;
    let line = worker.hears("can't be used").await;
    assert!(line.contains("File too large"), "{line}");
    assert!(
        rig.files("writing").is_empty(),
        "what was written of it is removed"
    );
    rig.results_are(Way::Open);
    rig.is_printed(&large, 50_000).await;
    let small = rig.submit(json!({ "pages": 1 })).await;
    rig.is_printed(&small, 1).await;
    let said = worker.drained().await;
    assert_eq!(said.matches("can't be used").count(), 1, "one line: {said}");
}

/// Opening a pipe that nothing writes to does not return. How long a disk is waited for that does not answer is tested on
/// a paused clock.
#[tokio::test]
async fn a_pipe_among_the_results_is_not_opened() {
    let rig = Rig::new(Way::Open).await;
    std::fs::create_dir_all(rig.folder("results")).unwrap();
    let pipe = rig.folder("results").join("job@dead");
    let made = Command::new("mkfifo").arg(&pipe).status().await;
    assert!(made.unwrap().success());
    let mut worker = rig.start("pod-1");
    worker.hears("first_take=").await;
    let job = rig.submit(json!({ "pages": 1 })).await;
    rig.is_printed(&job, 1).await;
    assert_eq!(runs(&worker.drained().await), 1);
    assert!(pipe.exists(), "it is nothing of the journal's");
}
