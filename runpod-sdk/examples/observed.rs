//! Watches itself: what happens to each job, and hooks around it.
//!
//! ```text
//! cargo run --example observed -- --test_input '{"input": 21}'
//! cargo run --example observed --features local-server -- \
//!     --rp_serve_api --test_input '{"input": 21}'
//! ```
//!
//! Built with the feature `metrics`, a deployed worker serves the same as figures for Prometheus where
//! `RUNPOD_WORKER_METRICS` says.

use runpod_sdk::events::{JobSummary, WorkerEvent};
use runpod_sdk::prelude::*;

#[handler]
async fn double(n: u32) -> JobResult<u32> {
    tracing::info!("doubling");
    Ok(n * 2)
}

fn main() -> std::process::ExitCode {
    let worker = double::worker()
        // Called in the middle of things, so it only notes what it hears.
        .on_event(|event| {
            if let WorkerEvent::JobFinished(job) = event {
                tracing::info!(bytes = job.output_bytes, "the job {}", job.outcome);
            }
        })
        .before_job(|_: Context| async {
            tracing::info!("about to begin");
            // An error here would fail the job without its handler.
            Ok::<_, JobError>(())
        })
        .after_job(|_: Context, _: JobSummary| async { tracing::debug!("over") })
        .on_shutdown(|| async { tracing::info!("nothing left to do") });
    runpod_sdk::start(worker)
}
