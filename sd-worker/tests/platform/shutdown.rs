//! Told to stop, killed, or pulled away in the wrong moment: no job is lost and none is done twice.

use std::time::{Duration, Instant};

use mock_webui::MockWebUi;
use runpod_sdk::client::{EndpointClient, JobReport};
use runpod_sdk::local::{Clock, EndpointSettings, LocalPlatform, ManualClock, Violation, ViolationKind};

use crate::support::{
    Channel, Gate, Platform, Program, Step, http::Reply, json, picture, program, seed_of, soon, worker,
};

const ENDPOINT: &str = "sd";
/// Longer than a worker may go without a ping.
const LOST: Duration = Duration::from_secs(41);

/// A platform that behaves, and whose time moves by hand.
struct Stage {
    platform: LocalPlatform,
    client: EndpointClient,
    clock: ManualClock,
}

impl Stage {
    async fn new() -> Self {
        let clock = Clock::manual();
        let platform = LocalPlatform::builder()
            .endpoint_with(ENDPOINT, EndpointSettings::default())
            .clock(clock.clone())
            .record_calls(true)
            .start()
            .await
            .unwrap();
        let client = EndpointClient::builder(ENDPOINT)
            .base_url(platform.client_base_url())
            .api_key("any")
            .build()
            .unwrap();
        Self {
            platform,
            client,
            clock,
        }
    }

    fn worker(&self, id: &str, webui: &MockWebUi) -> Program {
        let mut command = program();
        command
            .envs(self.platform.worker_env(ENDPOINT, id))
            .env("SD_WORKER_WEBUI_URL", webui.url())
            .env("SD_WORKER_PROGRESS_INTERVAL", "0");
        Program::start(command)
    }

    /// Waits until a take and a stop poll are held.
    async fn worker_is_idle(&self) {
        soon(self.platform.until(ENDPOINT, |activity| activity.held >= 2)).await;
    }

    /// The results that were posted, by worker.
    fn posts(&self, worker: &str) -> usize {
        let place = format!("/job-done/{worker}/");
        let calls = self.platform.recorded_calls();
        calls
            .iter()
            .filter(|call| call.path_and_query.contains(&place))
            .count()
    }

    async fn submit(&self, seed: u32) -> runpod_sdk::client::JobHandle {
        let input: serde_json::Value = serde_json::from_str(&picture(seed)).unwrap();
        soon(self.client.run(&input)).await.unwrap()
    }

    fn completed_once(&self, report: &JobReport, seed: u64) {
        assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
        assert_eq!(seed_of(&report.output().unwrap()), seed);
        let snapshot = self.platform.snapshot(ENDPOINT).unwrap();
        assert_eq!((snapshot.completed, snapshot.failed), (1, 0));
        assert_eq!((snapshot.in_queue, snapshot.in_progress), (0, 0));
    }
}

#[tokio::test]
async fn a_running_job_is_finished_and_delivered_after_sigterm() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let platform = Platform::start().await;
    platform.offer("j1", &picture(7));
    let mut worker = worker(&platform, &webui, &[]);
    soon(webui.gpu().rendering()).await;
    worker.signal("TERM").await;
    worker.says("draining").await;
    soon(webui.gpu().advance(1)).await;
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
    let done = platform.requests(Channel::Done);
    assert_eq!(done.len(), 1);
    assert_eq!(seed_of(&done[0].json()["output"]), 7);
    assert_eq!(platform.requests(Channel::Take).len(), 1, "nothing more is taken");
    assert_eq!(webui.gpu().interrupts(), 0);
}

#[tokio::test]
async fn an_idle_worker_is_gone_within_a_tenth_of_a_second() {
    let webui = MockWebUi::start().await;
    let mut fastest = Duration::MAX;
    // On a machine that is busy with other tests, the fastest of a few tells what the worker needs.
    for _ in 0..5 {
        let platform = Platform::start().await;
        let mut worker = worker(&platform, &webui, &[]);
        platform.request(Channel::Take, 1).await;
        platform.request(Channel::Stop, 1).await;
        let told = Instant::now();
        worker.signal("TERM").await;
        assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
        fastest = fastest.min(told.elapsed());
        if fastest < Duration::from_millis(100) {
            return;
        }
    }
    panic!("the fastest of five took {fastest:?}");
}

#[tokio::test]
async fn a_job_whose_answer_has_begun_to_arrive_when_sigterm_comes_is_done() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    let gate = Gate::default();
    let job = json(200, format!(r#"{{"id":"j1","input":{}}}"#, picture(7)));
    // The head and the beginning of the body, so that the worker knows that something is coming.
    let begun = job.len() - picture(7).len() - 10;
    let halves = Reply::Halves(job[..begun].to_vec(), gate.clone(), job[begun..].to_vec());
    platform.then(Channel::Take, [Step::Reply(halves)]);
    let mut worker = worker(&platform, &webui, &[]);
    platform.answered(Channel::Take, 1).await;
    platform.request(Channel::Stop, 1).await;
    worker.signal("TERM").await;
    worker.says("SIGTERM received").await;
    gate.open();
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
    assert_eq!(seed_of(&platform.result_of("j1").await.json()["output"]), 7);
}

#[tokio::test]
async fn a_job_that_arrives_together_with_sigterm_is_done() {
    let webui = MockWebUi::start().await;
    for _ in 0..5 {
        let platform = Platform::start().await;
        let mut worker = worker(&platform, &webui, &[]);
        platform.request(Channel::Take, 1).await;
        platform.request(Channel::Stop, 1).await;
        // Frozen, it finds the answer and the signal in the same moment.
        worker.signal("STOP").await;
        platform.offer("j1", &picture(7));
        platform.answered(Channel::Take, 1).await;
        worker.signal("TERM").await;
        worker.signal("CONT").await;
        assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
        let results = platform.requests(Channel::Done);
        assert_eq!(results.len(), 1, "{}", worker.log());
        assert_eq!(seed_of(&results[0].json()["output"]), 7);
    }
}

#[tokio::test]
async fn a_job_handed_out_in_the_instant_of_sigterm_completes_exactly_once() {
    let webui = MockWebUi::start().await;
    let mut by_the_first = 0;
    for round in 0..10_u32 {
        let stage = Stage::new().await;
        let mut first = stage.worker("first", &webui);
        stage.worker_is_idle().await;
        let seed = 100 + round;
        let told = async {
            // Before, during and after the platform's answer.
            for _ in 0..round * 20 {
                tokio::task::yield_now().await;
            }
            first.signal("TERM").await;
        };
        let (job, ()) = tokio::join!(stage.submit(seed), told);
        assert_eq!(first.exit().await.code(), Some(0), "{}", first.log());
        by_the_first += stage.posts("first");
        // If the answer crossed the signal on its way, the platform finds out that nobody has the job.
        stage.clock.advance(LOST);

        let mut second = stage.worker("second", &webui);
        let report = soon(job.wait()).await.unwrap();
        stage.completed_once(&report, u64::from(seed));
        assert_eq!(stage.posts("first") + stage.posts("second"), 1);
        let violations = stage.platform.violations();
        let crossed = |violation: &Violation| violation.kind == ViolationKind::MissingPings;
        assert!(violations.iter().all(crossed), "{violations:?}");
        second.signal("TERM").await;
        second.exit().await;
    }
    println!("{by_the_first} of 10 jobs were done by the worker that was told to stop");
}

#[tokio::test]
async fn a_second_sigterm_ends_it_at_once_and_the_platform_requeues() {
    let (busy, free) = (
        MockWebUi::builder().manual_clock().start().await,
        MockWebUi::start().await,
    );
    let stage = Stage::new().await;
    let mut first = stage.worker("first", &busy);
    let job = stage.submit(7).await;
    soon(busy.gpu().rendering()).await;
    first.signal("TERM").await;
    first.says("draining").await;
    first.signal("TERM").await;
    assert_eq!(first.exit().await.code(), Some(1), "{}", first.log());
    first.says("exiting with jobs left for other workers").await;

    let mut second = stage.worker("second", &free);
    stage.clock.advance(LOST);
    let report = soon(job.wait()).await.unwrap();
    stage.completed_once(&report, 7);
    assert_eq!((stage.posts("first"), stage.posts("second")), (0, 1));
    assert_eq!(stage.platform.snapshot(ENDPOINT).unwrap().retried, 1);
    second.signal("TERM").await;
    assert_eq!(second.exit().await.code(), Some(0), "{}", second.log());
}

#[tokio::test]
async fn a_killed_worker_s_job_completes_exactly_once_on_another() {
    let (busy, free) = (
        MockWebUi::builder().manual_clock().start().await,
        MockWebUi::start().await,
    );
    let stage = Stage::new().await;
    let mut first = stage.worker("first", &busy);
    let job = stage.submit(7).await;
    soon(busy.gpu().rendering()).await;
    first.signal("KILL").await;
    first.exit().await;

    let mut second = stage.worker("second", &free);
    stage.clock.advance(LOST);
    let report = soon(job.wait()).await.unwrap();
    stage.completed_once(&report, 7);
    assert_eq!((stage.posts("first"), stage.posts("second")), (0, 1));
    assert_eq!(stage.platform.snapshot(ENDPOINT).unwrap().retried, 1);
    second.signal("TERM").await;
    assert_eq!(second.exit().await.code(), Some(0), "{}", second.log());
}
