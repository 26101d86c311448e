//! What a desk does with requests, without sockets.

mod connections;
mod requests;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Health, NoRoom};
use super::routes::App;
use super::settings::Settings;
use crate::job::{Identity, Job};
use crate::json::RawJson;
use crate::platform::Platform as _;
use crate::runtime::{Held, Runtime, Shutdown, Slots};
use crate::start::mode::HttpMode;
use crate::worker::{HttpOptions, WhenAbandoned, Worker};

fn app() -> Arc<App> {
    let settings = Settings::read(&HttpMode::LoadBalancing, &HttpOptions::default(), |_| None).unwrap();
    let desk = Desk::new(Arc::new(Held::new(16, 1 << 20)), settings.queue);
    Arc::new(App::new(settings, Arc::new(desk), Identity::default()))
}

/// Opens the desk of `app` for a worker.
async fn work(app: &Arc<App>, worker: Worker) -> Shutdown {
    let (mut options, load) = worker.into_parts();
    options.when_abandoned = WhenAbandoned::PostError;
    let handler = load().await.unwrap();
    let (desk, shutdown) = (app.desk.clone(), Shutdown::default());
    let held = desk.held().clone();
    let runtime = Runtime::new(
        desk.clone(),
        handler,
        options,
        Identity::default(),
        held,
        shutdown.clone(),
    );
    desk.open(runtime.slots.clone());
    tokio::spawn(runtime.run());
    shutdown
}

fn job(id: &str) -> Job {
    Job::new(id, RawJson::null())
}

fn desk(queue: usize) -> Arc<Desk> {
    Arc::new(Desk::new(Arc::new(Held::new(16, 1 << 20)), queue))
}

fn one() -> Slots {
    Slots::new(NonZeroUsize::MIN)
}

#[tokio::test]
async fn a_desk_refuses_until_it_is_open_and_after_it_has_closed() {
    let desk = desk(1);
    assert_eq!(desk.health(), Health::Starting);
    assert_eq!(desk.submit(job("a")).unwrap_err(), NoRoom::Starting);
    desk.open(one());
    assert_eq!(desk.health(), Health::Ready);
    let mut waiting = desk.submit(job("a")).unwrap();
    desk.close();
    assert_eq!(desk.health(), Health::Closing);
    assert!(
        waiting.next().await.is_none(),
        "a request that waits is told at once"
    );
    assert_eq!(desk.submit(job("b")).unwrap_err(), NoRoom::Closing);
}

#[tokio::test]
async fn a_full_desk_refuses_and_an_id_is_taken_once() {
    let desk = desk(1);
    desk.open(one());
    let first = desk.submit(job("a")).unwrap();
    assert_eq!(desk.submit(job("a")).unwrap_err(), NoRoom::Duplicate);
    let _second = desk.submit(job("b")).unwrap();
    assert_eq!(desk.submit(job("c")).unwrap_err(), NoRoom::Full);
    drop(first);
    assert!(
        desk.submit(job("c")).is_ok(),
        "whoever leaves the queue makes room"
    );
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_job_if_it_was_taken() {
    let desk = desk(1);
    desk.open(one());
    let ticket = desk.submit(job("a")).unwrap();
    let taken = desk
        .take_jobs(NonZeroUsize::MIN, false, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(taken.len(), 1);
    drop(ticket);
    assert_eq!(desk.stop_signals().await.unwrap(), ["a".into()]);
}
