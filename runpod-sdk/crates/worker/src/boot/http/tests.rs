//! The request queue, without sockets.

mod connections;
mod own;
mod requests;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::request_queue::{Health, Rejection, RequestQueue};
use super::routes::App;
use super::settings::HttpSettings;
use crate::boot::HttpMode;
use crate::boot::{FitnessPlan, Launch, StartReporting, at_hand};
use crate::job::{Job, JobId, WorkerIdentity};
use crate::json::RawJson;
use crate::platform::Platform as _;
use crate::runtime::{ActiveJobs, Shutdown, Slots};
use crate::settings::{Settings, WhenAbandoned};
use crate::worker::Worker;

fn app() -> Arc<App> {
    let settings = HttpSettings::read(HttpMode::LoadBalancing, &Settings::default(), |_| None).unwrap();
    let requests = RequestQueue::new(Arc::new(ActiveJobs::new(16, 1 << 20)), settings.queue);
    Arc::new(App::new(settings, Arc::new(requests), WorkerIdentity::default()))
}

/// Opens the queue of `app` for a worker.
async fn work(app: &Arc<App>, mut worker: Worker) -> Shutdown {
    worker.settings_mut().when_abandoned = WhenAbandoned::PostError;
    let (requests, shutdown) = (app.requests.clone(), Shutdown::default());
    let slots = Slots::of(&worker.settings().concurrency);
    let launch = Launch {
        identity: WorkerIdentity::default(),
        active_jobs: requests.active_jobs.clone(),
        slots: slots.clone(),
        handlers: tokio::runtime::Handle::current(),
        shutdown: shutdown.clone(),
        fitness: FitnessPlan::none(),
        heartbeat: None,
        connect: at_hand(requests.clone()),
        random: fastrand::Rng::new(),
        start: StartReporting::Silent,
        worker,
    };
    requests.open(slots);
    tokio::spawn(launch.run());
    shutdown
}

fn job(id: &str) -> Job {
    Job::new(id, RawJson::null())
}

fn requests(queue: usize) -> Arc<RequestQueue> {
    Arc::new(RequestQueue::new(Arc::new(ActiveJobs::new(16, 1 << 20)), queue))
}

fn one() -> Slots {
    Slots::new(NonZeroUsize::MIN)
}

#[tokio::test]
async fn a_queue_refuses_until_it_is_open_and_after_it_has_closed() {
    let requests = requests(1);
    assert_eq!(requests.health(), Health::Starting);
    assert_eq!(requests.submit(job("a")).unwrap_err(), Rejection::Starting);
    requests.open(one());
    assert_eq!(requests.health(), Health::Ready);
    let mut waiting = requests.submit(job("a")).unwrap();
    requests.close();
    assert_eq!(requests.health(), Health::Closing);
    assert!(
        waiting.next().await.is_none(),
        "a request that waits is refused at once"
    );
    assert_eq!(requests.submit(job("b")).unwrap_err(), Rejection::Closing);
}

#[tokio::test]
async fn a_full_desk_refuses_and_an_id_is_taken_once() {
    let requests = requests(1);
    requests.open(one());
    let first = requests.submit(job("a")).unwrap();
    assert_eq!(requests.submit(job("a")).unwrap_err(), Rejection::Duplicate);
    let _second = requests.submit(job("b")).unwrap();
    assert_eq!(requests.submit(job("c")).unwrap_err(), Rejection::Full);
    drop(first);
    assert!(
        requests.submit(job("c")).is_ok(),
        "a request that leaves the queue makes room"
    );
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_job_if_it_was_taken() {
    let requests = requests(1);
    requests.open(one());
    let ticket = requests.submit(job("a")).unwrap();
    let taken = requests
        .take_jobs(NonZeroUsize::MIN, false, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(taken.len(), 1);
    drop(ticket);
    assert_eq!(requests.stop_signals().await.unwrap(), [JobId::from("a")]);
}
