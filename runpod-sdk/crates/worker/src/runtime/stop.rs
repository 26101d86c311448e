//! Turns the stop signals of the platform into cancellations (`docs/protocol/worker-protocol.md` §6).

use std::sync::Arc;
use std::time::Duration;

use runpod_protocol::backoff::Backoff;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Runtime;
use crate::context::CancelReason;
use crate::platform::{PlatformError, wait_after};

/// The shortest time between two polls that bring no signal.
const FLOOR: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// After this number of consecutive 404 answers the platform counts as one without stop signals.
const MISSING: u32 = 3;
const MISSING_RETRY: Duration = Duration::from_mins(5);

pub(super) async fn stop(runtime: Arc<Runtime>, end: CancellationToken) {
    tokio::select! {
        biased;
        () = end.cancelled() => {}
        () = listen(&runtime) => {}
    }
}

async fn listen(runtime: &Runtime) {
    let mut backoff = Backoff::half_jitter(FLOOR, LONGEST_RETRY, runtime.random_for("stop"));
    let mut missing = 0;
    loop {
        let error = match runtime.platform.stop_signals().await {
            Ok(ids) => {
                backoff.reset();
                missing = 0;
                if ids.is_empty() {
                    tokio::time::sleep(FLOOR).await;
                }
                for id in ids {
                    if !runtime.active_jobs.cancel(&id, CancelReason::Stopped) {
                        debug!(job.id = %id, "a stop signal for a job that does not run here");
                    }
                }
                continue;
            }
            Err(PlatformError::Unavailable(reason)) => {
                warn!("{reason}");
                return;
            }
            Err(error) => error,
        };
        runtime.events.request_failed(&error);
        let wait = match error.status() {
            Some(404) => {
                missing += 1;
                if missing == MISSING {
                    info!("this platform has no channel for stop signals; asking again every few minutes");
                }
                if missing >= MISSING { MISSING_RETRY } else { FLOOR }
            }
            _ => wait_after(&error, &mut backoff),
        };
        debug!(%error, retry_in = ?wait, "could not ask for stop signals");
        tokio::time::sleep(wait).await;
    }
}
