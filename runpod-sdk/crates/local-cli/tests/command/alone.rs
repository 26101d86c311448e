//! The platform without workers of its own.

use runpod_client::JobStatus;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Local, command};

#[tokio::test]
async fn it_says_how_to_reach_it_takes_jobs_and_ends_when_told() {
    let mut local = Local::start(&["--endpoint", "painter"], &[]);
    assert_eq!(local.announcement.endpoint, "painter");
    let take = &local.announcement.worker_env["RUNPOD_WEBHOOK_GET_JOB"];
    assert!(take.contains("/v2/painter/job-take/$ID"), "{take}");
    let job = local.client().run(&json!({ "prompt": "a cat" })).await.unwrap();
    assert_eq!(job.status().await.unwrap().status, JobStatus::InQueue);

    local.signal(Signal::TERM);
    assert_eq!(local.line(), json!({ "violations": [] }));
    assert!(local.wait().success());
}

#[test]
fn other_machines_are_not_let_in_without_a_key() {
    let refused = command(&["--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("an API key is required"), "{text}");
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    let refused = |arguments: &[&str], code, words: &str| {
        let done = command(arguments).output().unwrap();
        let text = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{text}");
        assert!(text.contains(words), "{text}");
    };
    refused(&["--scale-by", "luck"], 2, "`delay:TIME` or `requests:N`");
    refused(
        &["--listen", "127.0.0.1:0", "--restart-on-change", "--", "true"],
        1,
        "names no file",
    );
    refused(
        &["--listen", "127.0.0.1:0", "--gpus", "9", "--", "true"],
        1,
        "--gpus",
    );
    refused(
        &["--listen", "127.0.0.1:0", "--schema", "/nowhere"],
        1,
        "--schema",
    );
}
