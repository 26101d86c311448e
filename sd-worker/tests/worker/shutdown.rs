//! How the program ends, and what becomes of its job.

use std::time::{Duration, Instant};

use mock_webui::MockWebUi;

use tokio::time::timeout;

use crate::support::owned::{exists, started};
use crate::support::{EXAMPLE, OwnedWebUi, Program, Stage, program, soon};

#[tokio::test]
async fn told_to_stop_while_idle_it_ends_at_once() {
    let webui = MockWebUi::start().await;
    let mut stage = Stage::new(webui.url()).await;
    stage.complete(EXAMPLE).await;

    let told = Instant::now();
    stage.worker.signal("TERM").await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    // The requirement is 100 ms; a busy test machine gets more.
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
}

#[tokio::test]
async fn told_to_stop_it_finishes_its_job_and_delivers_it() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let mut stage = Stage::new(webui.url()).await;
    let job = stage.submit(EXAMPLE).await;
    soon(webui.gpu().rendering()).await;

    stage.worker.signal("TERM").await;
    stage.worker.says("SIGTERM received").await;
    let late = stage.submit(EXAMPLE).await;
    soon(webui.gpu().advance(25)).await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    let status = async |job: &runpod_sdk::client::JobHandle| soon(job.status()).await.unwrap().status;
    assert_eq!(status(&job).await.as_str(), "COMPLETED");
    assert_eq!(status(&late).await.as_str(), "IN_QUEUE", "no more jobs are taken");
    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn told_to_stop_while_it_waits_for_the_webui_it_ends_at_once() {
    let mut stage = Stage::new("http://127.0.0.1:9").await;
    stage.worker.says("waiting for the WebUI").await;
    stage.worker.signal("TERM").await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
}

#[tokio::test]
async fn told_twice_to_stop_it_does_not_wait_for_a_webui_that_does_not_end() {
    let webui = OwnedWebUi::new("--ignore-sigterm");
    let mut stage = webui.stage(&[("TUNING", "stop_grace=10m")]).await;
    stage.worker.says("the WebUI is ready").await;
    stage.worker.signal("TERM").await;
    stage.worker.says("SIGTERM received").await;
    // Two signals that come at the same time count as one.
    let exit = soon(async {
        loop {
            stage.worker.signal("TERM").await;
            if let Ok(exit) = timeout(Duration::from_millis(100), stage.worker.exit()).await {
                return exit;
            }
        }
    })
    .await;
    assert_eq!(exit.code(), Some(0));
    assert!(!exists(started(&stage.worker)[0]));
}

#[tokio::test]
async fn a_local_test_is_stopped_with_ctrl_c_and_takes_its_webui_with_it() {
    let webui = OwnedWebUi::new("--step-ms 20");
    let endless = r#"{"input": {"prompt": "x", "steps": 100000, "width": 64, "height": 64}}"#;
    let mut command = program();
    command
        .args(["--webui-url", &webui.url, "--webui-command", &webui.command])
        .args(["--test_input", endless]);
    let mut worker = Program::start(command);
    worker.says("the WebUI is ready").await;
    // More than the render that shows that it is ready.
    webui.steps_done(5).await;
    worker.signal("INT").await;
    worker
        .says("SIGINT received. Stopping the job; a second signal leaves at once.")
        .await;
    assert_eq!(worker.exit().await.code(), Some(130));
    assert!(!exists(started(&worker)[0]));
}

#[tokio::test]
async fn a_killed_worker_s_job_is_done_once_by_the_next_one() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let mut stage = Stage::new(webui.url()).await;
    let job = stage.submit(EXAMPLE).await;
    soon(webui.gpu().rendering()).await;

    stage.worker.signal("KILL").await;
    stage.worker.exit().await;
    // The dead worker's render goes on; that of the next one waits for it.
    let _next = stage.another(webui.url(), "worker-2");
    soon(webui.gpu().queued(2)).await;
    soon(webui.gpu().advance(50)).await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert_eq!(
        (report.retries, report.worker_id.as_deref()),
        (1, Some("worker-2"))
    );
    assert_eq!(webui.gpu().renders(), 2);
}
