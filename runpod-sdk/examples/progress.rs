//! Tells clients how far a job is: so many steps of so many, in percent, and the time that is left.
//!
//! ```text
//! cargo run --example progress -- --test_input '{"input": {"steps": 50}}'
//! cargo run --example progress --features local-server -- \
//!     --rp_serve_api --test_input '{"input": {"steps": 50}}'
//! ```

use std::time::Duration;

use runpod_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Work {
    steps: u32,
}

#[handler(timeout = "10m")]
async fn work(input: Work, ctx: Context) -> JobResult<String> {
    // What `/status` shows as `output` while the job runs:
    // `{"done": 20, "total": 50, "percent": 40.0, "eta_s": 0.6}`. Any other value: `ctx.progress(value)`.
    let counter = ctx.counter(input.steps.into());
    for _ in 0..input.steps {
        // The work of one step. A cancelled job ends at its next `.await` after the grace period;
        // looking for it ends it sooner.
        tokio::time::sleep(Duration::from_millis(20)).await;
        if ctx.is_cancelled() {
            return Err(JobError::message_only("cancelled"));
        }
        counter.add(1);
    }
    Ok(format!("did {} steps", input.steps))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(work::worker())
}
