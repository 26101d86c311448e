//! Tells clients how far a job is.
//!
//! ```text
//! cargo run --example progress -- --test_input '{"input": {"steps": 5}}'
//! ```

use std::time::Duration;

use runpod_sdk::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Work {
    steps: u32,
}

/// What `/status` shows as `output` while the job runs.
#[derive(Serialize)]
struct Step {
    done: u32,
    of: u32,
}

#[handler(timeout = "10m")]
async fn work(input: Work, ctx: Context) -> JobResult<String> {
    for done in 1..=input.steps {
        // The work of one step. A cancelled job ends at its next `.await` after the grace period;
        // looking for it ends it sooner.
        tokio::time::sleep(Duration::from_millis(20)).await;
        if ctx.is_cancelled() {
            return Err(JobError::message_only("cancelled"));
        }
        ctx.progress(Step {
            done,
            of: input.steps,
        });
    }
    Ok(format!("did {} steps", input.steps))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(work::worker())
}
