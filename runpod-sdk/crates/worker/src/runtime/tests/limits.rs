//! Limits beyond the clock's range, which people write for "none".

use std::time::Duration;

use serde_json::json;

use super::support::{Running, with_limits};
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::{Context, JobError, Worker};

#[tokio::test(start_paused = true)]
async fn a_cancelled_handler_may_have_all_the_time_there_is() {
    let worker = Worker::new(|_: u32, ctx: Context| async move {
        ctx.cancelled().await;
        tokio::time::sleep(Duration::from_hours(1)).await;
        Err::<(), _>(JobError::message_only("cancelled"))
    })
    .shutdown_grace(Duration::from_secs(1))
    .cancel_grace(Duration::MAX);
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(0));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    assert_eq!(running.drained().await, Ended::Abandoned { jobs: 1 });
}

#[tokio::test(start_paused = true)]
async fn the_longest_time_there_is_counts_as_no_limit() {
    let worker = Worker::new(|steps: u32, ctx: Context| async move {
        for done in 1..=steps {
            ctx.progress(done);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok::<_, JobError>(steps)
    })
    .timeout(Duration::MAX)
    .cancel_grace(Duration::MAX)
    .shutdown_grace(Duration::MAX)
    .delivery_window(Duration::MAX)
    .progress_interval(Duration::MAX);
    let worker = with_limits(worker, |limits| {
        limits.delivery_longest_wait = Duration::MAX;
    });
    let running = Running::start(worker).await;
    let mut refusals = 3;
    running.platform.with_faults(move |exchange| {
        let hit = refusals > 0 && matches!(exchange, Exchange::Result { .. });
        hit.then(|| {
            refusals -= 1;
            Fault::Refuse(503)
        })
    });
    running.platform.submit("j", json!(3));
    assert_eq!(running.platform.result("j").await, r#"{"output": 3}"#);
    let exchanges = running.platform.exchanges();
    let updates = exchanges
        .iter()
        .filter(|exchange| matches!(exchange, Exchange::Progress { .. }));
    assert_eq!(updates.count(), 1, "the next would come in a year");
    assert_eq!(running.drained().await, Ended::Drained);
}
