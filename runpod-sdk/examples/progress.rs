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

#[cfg(test)]
mod tests {
    use runpod_sdk::testing::Harness;
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_step_is_reported() {
        let harness = Harness::new(work::worker());
        let run = harness.submit(json!({ "steps": 3 })).finished().await;
        assert_eq!(run.output(), Some(&json!("did 3 steps")));
        assert_eq!(run.progress.first(), Some(&json!({ "done": 1, "of": 3 })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_job_ends_early() {
        let harness = Harness::new(work::worker());
        let mut job = harness.submit(json!({ "steps": 1_000_000 }));
        job.next_progress().await;
        job.cancel();
        assert_eq!(job.finished().await.end, runpod_sdk::testing::JobEnd::Stopped);
    }
}
