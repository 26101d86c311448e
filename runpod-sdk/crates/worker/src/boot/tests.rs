//! A whole start against a platform on loopback: order, fitness, the report of an unfit worker.

mod heartbeat;
mod stuck;

use runpod_protocol::sync::Mutex;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;

use wiremock::matchers::{method, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::deployed;
use crate::error::Error;
use crate::events::{StartReport, StartTimer, WorkerEvent};
use crate::job::{JobError, JobResult};
use crate::runtime::{Ended, Shutdown};
use crate::worker::Worker;

/// A mock of RunPod, for the requests of a start.
struct Platform {
    server: MockServer,
    environment: BTreeMap<&'static str, String>,
}

impl Platform {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let take = Mock::given(path_regex("/job-take/")).respond_with(
            ResponseTemplate::new(200).set_body_raw(r#"{"id":"j","input":1}"#, "application/json"),
        );
        take.mount(&server).await;
        Mock::given(path_regex("/job-stop/"))
            .respond_with(ResponseTemplate::new(404))
            .mount(&server)
            .await;
        Mock::given(path_regex("/job-done/"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        let url = |path: &str| format!("{}{path}?gpu=A", server.uri());
        let environment = BTreeMap::from([
            ("RUNPOD_WEBHOOK_GET_JOB", url("/v2/ep/job-take/$ID")),
            (
                "RUNPOD_WEBHOOK_POST_OUTPUT",
                url("/v2/ep/job-done/$RUNPOD_POD_ID/$ID"),
            ),
            ("RUNPOD_WEBHOOK_PING", url("/v2/ep/ping/$RUNPOD_POD_ID")),
            ("RUNPOD_AI_API_KEY", "rpa_KEY".to_owned()),
            ("RUNPOD_POD_ID", "w1".to_owned()),
        ]);
        Self { server, environment }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.insert(name, value.into());
        self
    }

    async fn run(&self, worker: Worker) -> Result<Ended, Error> {
        let environment = Arc::new(self.environment.clone());
        let run = move || {
            let environment = &environment;
            deployed::run(
                worker,
                |name| environment.get(name).cloned(),
                StartTimer::now(),
                Shutdown::default(),
            )
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    async fn seen(&self, channel: &str) -> Vec<Request> {
        let mut seen = self.server.received_requests().await.unwrap();
        seen.retain(|request| request.url.path().contains(channel));
        seen
    }

    async fn unfit(&self, worker: Worker) -> (String, String) {
        match self.run(worker).await {
            Err(Error::Unfit { check, reason }) => (check, reason),
            other => panic!("{other:?}"),
        }
    }
}

/// An address that refuses connections.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A worker that leaves after its first job.
fn worker() -> Worker {
    Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).refresh_worker(true)
}

fn unfit_worker(reason: &'static str) -> Worker {
    worker().fitness_check("weights", move || async move { Err::<(), _>(reason) })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfit_worker_tells_the_platform_why_and_takes_no_job() {
    let platform = Platform::start().await;
    let long = Box::leak(format!("no weights & no \u{1F600} {}", "x".repeat(400)).into_boxed_str());
    let (check, reason) = platform.unfit(unfit_worker(long)).await;
    assert_eq!(check, "weights");
    assert!(reason.starts_with("&str: no weights"), "{reason}");

    let pings = platform.seen("/ping/").await;
    assert_eq!(pings.len(), 1, "one try");
    let ping = &pings[0];
    assert_eq!(ping.url.path(), "/v2/ep/ping/w1");
    assert_eq!(ping.headers["authorization"], "rpa_KEY");
    let query: Vec<(String, String)> = ping.url.query_pairs().into_owned().collect();
    let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["gpu", "status", "check", "reason", "runpod_version"]);
    assert_eq!(
        (query[1].1.as_str(), query[2].1.as_str()),
        ("unhealthy", "weights")
    );
    assert_eq!(query[3].1, reason.chars().take(256).collect::<String>());
    assert!(platform.seen("/job-take/").await.is_empty(), "no job was taken");
    assert!(platform.seen("/job-stop/").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_hooks_run_after_a_failed_check_once_the_platform_knows() {
    let platform = Platform::start().await;
    let reports: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (notes, server) = (reports.clone(), platform.server.uri());
    let worker = unfit_worker("no").on_shutdown(move || async move {
        // Requests that arrived so far: this one comes after them.
        let seen = reqwest::get(format!("{server}/job-take/seen")).await;
        notes.lock().push(usize::from(seen.is_ok()));
    });
    platform.unfit(worker).await;
    assert_eq!(*reports.lock(), [1], "once");
    let paths: Vec<String> = platform
        .seen("")
        .await
        .iter()
        .map(|seen| seen.url.path().to_owned())
        .collect();
    assert_eq!(paths, ["/v2/ep/ping/w1", "/job-take/seen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfit_worker_waits_for_no_thread_that_blocks() {
    let platform = Platform::start().await;
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (blocking, blocks) = std::sync::mpsc::channel::<()>();
    let worker = worker()
        .handler_threads(2)
        .fitness_check("weights", || async {
            tokio::task::spawn_blocking(move || blocks.recv().ok()).await.ok();
            Err::<(), _>("no")
        })
        .fitness_check("blocks its thread for ever", move || async move {
            blocking.send(()).ok();
            wait.recv().map_err(|_| "released")
        });
    assert_eq!(
        platform.unfit(worker).await,
        ("weights".to_owned(), "&str: no".to_owned())
    );
    drop(release);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_or_a_ping_url_no_report_is_sent() {
    for missing in ["RUNPOD_AI_API_KEY", "RUNPOD_WEBHOOK_PING"] {
        let platform = Platform::start().await.with(missing, "");
        platform.unfit(unfit_worker("no")).await;
        assert!(platform.seen("").await.is_empty(), "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_sent_does_not_keep_an_unfit_worker() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let garbled = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [
        silent.local_addr().unwrap().to_string(),
        garbled.local_addr().unwrap().to_string(),
        closed(),
    ];
    std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut connection, _) = garbled.accept().unwrap();
        connection.write_all(b"Good morning\r\n").unwrap();
    });
    for address in addresses {
        let platform = Platform::start()
            .await
            .with("RUNPOD_WEBHOOK_PING", format!("http://{address}/ping"));
        assert_eq!(platform.unfit(unfit_worker("no")).await.0, "weights", "{address}");
    }
    let platform = Platform::start().await;
    Mock::given(method("GET"))
        .and(query_param("status", "unhealthy"))
        .respond_with(ResponseTemplate::new(500))
        .mount(&platform.server)
        .await;
    platform.unfit(unfit_worker("no")).await;
    assert_eq!(platform.seen("/ping/").await.len(), 1, "no second try");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_loaded_after_the_checks_and_before_the_first_take() {
    let platform = Platform::start().await;
    let course: Arc<Mutex<Vec<&str>>> = Arc::default();
    let note = |what: &'static str| {
        let course = course.clone();
        move || course.lock().push(what)
    };
    let (checked, loading, loaded) = (note("checked"), note("loading"), note("loaded"));
    let worker = Worker::new(
        async |n: u32, crate::State(factor): crate::State<u32>| -> JobResult<u32> { Ok(n * factor) },
    )
    .state_with(|| async move {
        loading();
        tokio::task::yield_now().await;
        loaded();
        Ok::<_, String>(2)
    })
    .fitness_check("first", || async move {
        tokio::task::yield_now().await;
        checked();
        Ok::<_, String>(())
    })
    .refresh_worker(true);
    assert_eq!(platform.run(worker).await.unwrap(), Ended::Drained);
    let course = course.lock().clone();
    assert_eq!(course[..3], ["checked", "loading", "loaded"]);
    assert!(!platform.seen("/job-take/").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_loaded_ends_the_start_without_a_take() {
    let platform = Platform::start().await;
    let worker = Worker::new(
        async |n: u32, crate::State(factor): crate::State<u32>| -> JobResult<u32> { Ok(n * factor) },
    )
    .state_with(|| async { Err::<u32, _>("no model") });
    assert!(matches!(platform.run(worker).await, Err(Error::Startup(_))));
    assert!(platform.seen("/job-take/").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_whose_loading_panics_ends_the_start_with_the_panics_message() {
    let platform = Platform::start().await;
    let worker = Worker::new(async |n: u32, crate::State(_): crate::State<u32>| -> JobResult<u32> { Ok(n) })
        .state_with(|| async { Ok::<_, String>("many".parse::<u32>().expect("the model")) });
    let ended = platform.run(worker).await.unwrap_err();
    assert_eq!(
        ended.to_string(),
        "start-up failed: loading the state panicked: the model: ParseIntError { kind: InvalidDigit }"
    );
}

#[tokio::test]
async fn start_refuses_to_run_inside_a_runtime() {
    let ended = crate::start(Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }));
    assert_eq!(ended, std::process::ExitCode::FAILURE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_before_it_is_ready_ends_at_once_and_takes_no_job() {
    for checking in [true, false] {
        let platform = Platform::start().await;
        let shutdown = Shutdown::default();
        let (begun, stop) = (Arc::new(tokio::sync::Notify::new()), shutdown.drain.clone());
        let hangs = {
            let begun = begun.clone();
            move || async move {
                begun.notify_one();
                std::future::pending::<Result<(), String>>().await
            }
        };
        let worker = Worker::new(async |n: u32, crate::State(()): crate::State<()>| JobResult::Ok(n));
        let worker = if checking {
            worker.fitness_check("hangs", hangs).state(())
        } else {
            worker.state_with(hangs)
        };
        let environment = platform.environment.clone();
        let running = tokio::task::spawn_blocking(move || {
            deployed::run(
                worker,
                |name| environment.get(name).cloned(),
                StartTimer::now(),
                shutdown,
            )
        });
        begun.notified().await;
        stop.cancel();
        assert_eq!(running.await.unwrap().unwrap(), Ended::Drained, "exit code 0");
        assert!(platform.seen("/job-take/").await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_report_lists_the_phases_from_the_beginning_to_the_first_take() {
    let platform = Platform::start().await;
    let reports: Arc<Mutex<Vec<StartReport>>> = Arc::default();
    let hears = reports.clone();
    let worker = worker().on_event(move |event| {
        if let WorkerEvent::FirstTake(report) = event {
            hears.lock().push(report.clone());
        }
    });
    platform.run(worker).await.unwrap();
    let reports = reports.lock();
    let [report] = &reports[..] else {
        panic!("reported once: {reports:?}")
    };
    let ends: Vec<_> = report.phases.iter().map(|phase| phase.ended).collect();
    assert!(ends.is_sorted(), "{report}");
    insta::with_settings!({ filters => [(r"\+\d+\.\dms", "+<time>")] }, {
        insta::assert_snapshot!(
            report,
            @"config=+<time> fitness=+<time> heartbeat=+<time> connect=+<time> state=+<time> ready=+<time> first_take=+<time>"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_checks_come_after_the_workers_own() {
    let platform = Platform::start()
        .await
        .with("RUNPOD_WORKER_AUTOMATIC_CHECKS", "true")
        .with("RUNPOD_MIN_MEMORY_GB", "1000000");
    let (check, reason) = platform.unfit(worker()).await;
    assert_eq!(check, "_memory_check");
    assert!(
        reason.starts_with("FitnessError: ") && reason.contains("1000000.0 GiB needed"),
        "{reason}"
    );
    let (check, _) = platform.unfit(unfit_worker("no")).await;
    assert_eq!(check, "weights");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_laptop_is_not_checked_unasked_and_pythons_switch_turns_checks_off() {
    let platform = Platform::start().await.with("RUNPOD_MIN_MEMORY_GB", "1000000");
    platform.run(worker()).await.unwrap();
    let platform = platform.with("RUNPOD_SKIP_AUTO_SYSTEM_CHECKS", "true");
    platform.run(worker().automatic_checks(true)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_network_is_unfit_though_the_first_take_did_not_wait_for_that() {
    let platform = Platform::start().await;
    let take = format!("http://{}/v2/ep/job-take/$ID", closed());
    let platform = platform
        .with("RUNPOD_WEBHOOK_GET_JOB", take)
        .with("RUNPOD_WORKER_AUTOMATIC_CHECKS", "true")
        .with("RUNPOD_WORKER_NETWORK_TARGETS", closed())
        .with("RUNPOD_MIN_MEMORY_GB", "0")
        .with("RUNPOD_MIN_DISK_PERCENT", "0");
    let (check, reason) = platform.unfit(worker()).await;
    assert_eq!(check, "_network_check");
    assert_eq!(reason.matches("Connection refused").count(), 2, "{reason}");
    let pings = platform.seen("/ping/").await;
    assert!(
        pings
            .iter()
            .any(|ping| ping.url.query().unwrap().contains("check=_network_check")),
        "the platform has the report"
    );
}
