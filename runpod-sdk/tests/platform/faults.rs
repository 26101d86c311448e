//! Faults on purpose, over HTTP.

use std::time::Duration;

use runpod_sdk::local::Fault;
use serde_json::{Value, json};

use crate::support::{EP, Rig, Worker};

async fn running(rig: &Rig) -> (Worker, String) {
    let worker = rig.worker("w1");
    let id = rig.run(json!({})).await;
    worker.take_now().await;
    (worker, id)
}

fn inject(rig: &Rig, fault: &str) -> u64 {
    rig.platform.inject(EP, fault.parse::<Fault>().unwrap()).unwrap()
}

#[tokio::test]
async fn a_result_is_refused_as_often_as_asked_for() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    inject(&rig, "refuse-result:500*2");
    let result = json!({"output": 1});
    for _ in 0..2 {
        worker.done(&id, &result).await.error(500);
        assert_eq!(rig.status(&id).await["status"], "IN_PROGRESS");
    }
    worker.done(&id, &result).await;
    assert_eq!(rig.status(&id).await["status"], "COMPLETED");
    assert!(rig.platform.faults(EP)[0].is_spent());
}

#[tokio::test]
async fn only_large_results_are_refused_by_size() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    inject(&rig, "refuse-result:413,100");
    worker
        .done(&id, &json!({"output": "x".repeat(100)}))
        .await
        .error(413);
    worker.done(&id, &json!({"output": "x"})).await;
    assert_eq!(rig.status(&id).await["output"], "x");
}

#[tokio::test]
async fn a_lost_result_was_acknowledged_and_its_job_is_given_to_another() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    inject(&rig, "lose-result*1");
    assert_eq!(worker.done(&id, &json!({"output": 1})).await.status, 200);
    assert_eq!(rig.status(&id).await["status"], "IN_PROGRESS");
    rig.advance(Duration::from_secs(41));
    let second = rig.worker("w2");
    second.take_now().await;
    second.done(&id, &json!({"output": 2})).await;
    assert_eq!(rig.status(&id).await["output"], 2);
}

#[tokio::test]
async fn progress_comes_late_and_a_slow_network_holds_up_every_call() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    let delayed = inject(&rig, "delay-progress:3s");
    let update = json!(50);
    let posting = tokio::spawn({
        let (worker, id) = (worker.clone(), id.clone());
        async move { worker.progress(&id, &update).await }
    });
    // Nothing tells that it waits but its answer, which comes after the clock has moved.
    while !posting.is_finished() {
        assert!(rig.status(&id).await["output"] == Value::Null || rig.clock.now() >= Duration::from_secs(3));
        rig.advance(Duration::from_millis(500));
    }
    assert!(rig.clock.now() >= Duration::from_secs(3));
    assert_eq!(rig.status(&id).await["output"], 50);
    assert!(rig.platform.remove_fault(EP, delayed));

    inject(&rig, "slow-network:2s*1");
    let before = rig.clock.now();
    let taking = tokio::spawn(rig.worker("w2").take(false));
    while rig.platform.faults(EP)[0].struck == 0 {
        tokio::task::yield_now().await;
    }
    rig.run(json!({})).await;
    while !taking.is_finished() {
        rig.advance(Duration::from_millis(500));
        tokio::task::yield_now().await;
    }
    assert!(rig.clock.now() >= before + Duration::from_secs(2));
}

#[tokio::test]
async fn a_job_is_handed_out_twice_and_completes_once() {
    let rig = Rig::new().await;
    inject(&rig, "deliver-twice:running*1");
    let (first, id) = running(&rig).await;
    let second = rig.worker("w2");
    assert_eq!(second.take_now().await["id"], id);
    second.done(&id, &json!({"output": 2})).await;
    first.done(&id, &json!({"output": 1})).await;
    assert_eq!(rig.status(&id).await["output"], 2);
    assert_eq!(rig.violations(), []);
}
