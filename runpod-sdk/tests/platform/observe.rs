//! What a program that runs the platform sees of it.

use std::sync::mpsc;
use std::time::Duration;

use runpod_sdk::local::{JobChange, JobsOf, LocalPlatform, Observed};
use serde_json::json;

use crate::support::{EP, Rig};

/// One line for each thing that was observed, apart from workers' calls.
fn line(endpoint: &str, observed: &Observed) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (at, what) = match observed {
        Observed::Job { at, change, .. } => {
            let what = match change {
                JobChange::Submitted { input, .. } => format!("submitted {}", text(input)),
                JobChange::Taken { worker } => format!("taken by {worker}"),
                JobChange::Progress { output } => {
                    format!("progress {}", text(output.as_deref().unwrap_or_default()))
                }
                JobChange::Chunk { output } => format!("chunk {}", text(output)),
                JobChange::Ended { status, output, .. } => {
                    format!("{status} {}", text(output.as_deref().unwrap_or_default()))
                }
                other => format!("{other:?}"),
            };
            (at, what)
        }
        Observed::Violation(violation) => (&violation.at, violation.kind.to_string()),
        _ => return None,
    };
    Some(format!("{endpoint} {:>2} {what}", at.as_secs()))
}

#[tokio::test]
async fn what_happens_to_a_job_is_observed_in_its_order() {
    let (sender, seen) = mpsc::channel();
    let builder = LocalPlatform::builder()
        .endpoint(EP)
        .observe(move |endpoint, observed| {
            if let Some(line) = line(endpoint, &observed) {
                sender.send(line).unwrap();
            }
        });
    let rig = Rig::build(builder).await;
    let id = rig.run(json!({"a": 1})).await;
    rig.advance(Duration::from_secs(1));
    rig.worker("w1").take_now().await;
    rig.advance(Duration::from_secs(1));
    rig.platform.worker_ended(EP, "w1", JobsOf::Lost);
    let worker = rig.worker("w2");
    worker.take_now().await;
    worker.progress(&id, &json!(50)).await;
    worker.chunk(&id, &json!("c")).await;
    rig.advance(Duration::from_secs(1));
    worker.done(&id, &json!({"output": [2]})).await;
    worker.progress(&id, &json!(51)).await;
    rig.advance(Duration::from_hours(1));
    rig.get(&format!("status/{id}")).await.error(404);
    insta::assert_snapshot!(seen.try_iter().collect::<Vec<_>>().join("\n"), @r#"
    ep  0 submitted {"a":1}
    ep  1 taken by w1
    ep  2 WorkerLost
    ep  2 taken by w2
    ep  2 progress 50
    ep  2 chunk "c"
    ep  3 COMPLETED [2]
    ep  3 progress after the result
    ep 1803 Forgotten
    "#);
}

#[tokio::test]
async fn a_waiting_worker_gets_the_job_of_one_that_died() {
    let rig = Rig::new().await;
    let id = rig.run(json!(null)).await;
    rig.worker("w1").take_now().await;
    let waiting = tokio::spawn(rig.worker("w2").take(false));
    rig.holding(1).await;
    rig.platform.worker_ended(EP, "w1", JobsOf::Replaced);
    assert_eq!(waiting.await.unwrap().ok()["id"], id);
}
