//! The lines that people look for in a worker's log.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::support::Running;
use crate::{JobResult, Worker};

/// Keeps the messages.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_are_counted_as_they_arrive_wait_start_and_finish() {
    let heard = Heard::default();
    let _log = tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));
    let running = Running::start(Worker::new(|seconds: u64| async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        JobResult::Ok(())
    }))
    .await;
    running.platform.hand_out_more_than_asked(1);
    running.platform.submit("runs", json!(5));
    running.platform.submit("waits", json!(5));
    running.platform.result("waits").await;
    running.drained().await;
    let known = ["Jobs in", "Started.", "Finished."];
    let mut heard = heard.0.lock().unwrap().clone();
    heard.retain(|line| known.iter().any(|known| line.starts_with(known)));
    // The second begins while the first one's result is on its way.
    assert_eq!(
        heard,
        [
            "Jobs in progress: 1",
            "Jobs in progress: 2",
            "Jobs in queue: 1",
            "Started.",
            "Started.",
            "Finished.",
            "Finished.",
        ]
    );
}
