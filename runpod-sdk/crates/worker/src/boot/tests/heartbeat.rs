//! Whether a worker sends heartbeats, and the log line if it sends none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use wiremock::matchers::path_regex;
use wiremock::{Mock, Request, ResponseTemplate};

use super::super::heartbeat;
use super::{Platform, worker};
use crate::error::Error;
use crate::events::Events;
use crate::job::JobError;
use crate::runtime::{ActiveJobs, Ended, HeartbeatThread};
use crate::settings::{Config, WorkerLimits};
use crate::telemetry::log_capture::LogCapture;
use crate::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a heartbeat where one of the platform's variables is not set.
fn start_without(missing: &str) -> Result<Option<HeartbeatThread>, Error> {
    let nowhere = "http://127.0.0.1:9/$ID".to_owned();
    let mut environment = BTreeMap::from([
        ("RUNPOD_WEBHOOK_GET_JOB", nowhere.clone()),
        ("RUNPOD_WEBHOOK_POST_OUTPUT", nowhere.clone()),
        ("RUNPOD_WEBHOOK_PING", nowhere),
        ("RUNPOD_AI_API_KEY", "K".to_owned()),
        ("RUNPOD_POD_ID", "w1".to_owned()),
    ]);
    environment.remove(missing);
    let config = Arc::new(Config::from_lookup(|name| environment.get(name).cloned()).unwrap());
    let active_jobs = Arc::new(ActiveJobs::new(16, 1 << 20));
    heartbeat::start(&config, WorkerLimits::default(), &active_jobs, &Events::default())
}

#[tokio::test]
async fn without_a_key_an_id_or_an_address_there_is_none_and_the_log_says_why() {
    for (missing, level) in [
        ("RUNPOD_AI_API_KEY", "DEBUG"),
        ("RUNPOD_POD_ID", "INFO"),
        ("RUNPOD_WEBHOOK_PING", "ERROR"),
    ] {
        let log = LogCapture::begin();
        assert!(start_without(missing).unwrap().is_none(), "{missing}");
        assert_eq!(
            log.text(),
            format!("{level:<7}| no heartbeat: {missing} is not set\n")
        );
    }
    let log = LogCapture::begin();
    assert!(start_without("nothing").unwrap().is_some());
    assert_eq!(log.text(), "");
}

/// Sends a message for each ping that reaches `platform`.
async fn pings(platform: &Platform) -> Receiver<Request> {
    let (sent, pings) = channel();
    let answer = move |ping: &Request| {
        // The test may have stopped reading.
        let _ = sent.send(ping.clone());
        ResponseTemplate::new(200)
    };
    Mock::given(path_regex("/ping/"))
        .respond_with(answer)
        .mount(&platform.server)
        .await;
    pings
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_ping_goes_out_at_the_start_while_the_state_is_still_loading() {
    let platform = Platform::start().await;
    let pings = pings(&platform).await;
    // Ten seconds are between two pings: this is the one of the start.
    let load = async move || pings.recv_timeout(PATIENCE).map(Arc::new);
    let worker = Worker::new(|_: u32, _: crate::State<Arc<Request>>| async { Ok::<_, JobError>(1) })
        .state_with(load)
        .refresh_worker(true);
    assert_eq!(platform.run(worker).await.unwrap(), Ended::Drained);
    let first = &platform.seen("/ping/").await[0];
    assert_eq!(first.url.query(), Some("gpu=A&runpod_version=1.12.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_and_errors_name_the_protocol_version_that_is_spoken() {
    let platform = Platform::start().await.with("RUNPOD_POD_HOSTNAME", "pod-7");
    let pings = pings(&platform).await;
    let pings = Arc::new(std::sync::Mutex::new(pings));
    let worker = Worker::blocking(move |_: u32| {
        let pinged = pings.lock().unwrap().recv_timeout(PATIENCE);
        Err::<(), _>(JobError::message_only(format!("{:?}", pinged.is_ok())))
    });
    let worker = worker.refresh_worker(true);
    platform.run(worker).await.unwrap();
    let ping = &platform.seen("/ping/").await[0];
    assert!(ping.url.query().unwrap().ends_with("&runpod_version=1.12.0"));
    let result = &platform.seen("/job-done/").await[0];
    let body: serde_json::Value = result.body_json().unwrap();
    let error: serde_json::Value = serde_json::from_str(body["error"].as_str().unwrap()).unwrap();
    assert_eq!(error["error_message"], "true", "there was a ping");
    assert_eq!(
        (&error["runpod_version"], &error["hostname"], &error["worker_id"]),
        (&"1.12.0".into(), &"pod-7".into(), &"w1".into())
    );
}

/// Its own thread asks for nothing of the threads that a handler may block.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_blocks_the_workers_only_thread_does_not_silence_it() {
    let platform = Platform::start().await.with("RUNPOD_PING_INTERVAL", "250");
    let pings = pings(&platform).await;
    let pings = Arc::new(std::sync::Mutex::new(pings));
    let worker = Worker::new(move |_: u32| {
        let pings = pings.clone();
        async move {
            let pings = pings.lock().unwrap();
            let mut about_the_job = 0;
            while about_the_job < 3 {
                let ping = pings.recv_timeout(PATIENCE)?;
                about_the_job += usize::from(ping.url.query().unwrap().contains("job_id=j&"));
            }
            Ok::<_, JobError>(about_the_job)
        }
    });
    let worker = worker.on_one_thread().refresh_worker(true);
    assert_eq!(platform.run(worker).await.unwrap(), Ended::Drained);
    let results = platform.seen("/job-done/").await;
    assert_eq!(results[0].body, br#"{"output": 3, "stopPod": true}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_one_the_worker_works_all_the_same() {
    for missing in ["RUNPOD_AI_API_KEY", "RUNPOD_POD_ID", "RUNPOD_WEBHOOK_PING"] {
        let platform = Platform::start().await.with(missing, "");
        assert_eq!(platform.run(worker()).await.unwrap(), Ended::Drained);
        assert_eq!(platform.seen("/job-done/").await.len(), 1, "{missing}");
        assert!(platform.seen("/ping/").await.is_empty(), "{missing}");
    }
}
