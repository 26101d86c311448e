//! How to test a handler: as the function that it is, and as a whole worker on a paused clock.
//!
//! ```text
//! cargo test --example testing --features testing
//! cargo run --example testing --features local-server -- --rp_serve_api --test_input '{"input": 1}'
//! ```
//!
//! The second takes the minute that the tests do not.

use std::time::Duration;

use runpod_sdk::prelude::*;

/// A minute of work for each step.
#[handler(timeout = "1h")]
async fn paint(steps: u32, ctx: Context) -> JobResult<String> {
    if steps == 0 {
        return Err(JobError::invalid_input("steps must be at least 1"));
    }
    for done in 1..=steps {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_mins(1)) => ctx.progress(done),
            reason = ctx.cancelled() => return Err(JobError::message_only(reason.to_string())),
        }
    }
    Ok(format!("painted in {steps} steps"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(paint::worker())
}

#[cfg(test)]
mod tests {
    use runpod_sdk::testing::{Harness, JobEnd};
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn half_an_hour_of_painting_takes_no_time() {
        let harness = Harness::new(paint::worker());
        let run = harness.submit(30).finished().await;
        assert_eq!(run.output(), Some(&json!("painted in 30 steps")));
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_an_hour_is_too_much() {
        let harness = Harness::new(paint::worker());
        let run = harness.submit(100).finished().await;
        assert_eq!(run.error_code(), Some("TIMEOUT"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_job_stops_at_once() {
        let harness = Harness::new(paint::worker());
        let mut job = harness.submit(30);
        assert_eq!(job.next_progress().await, json!(1));
        job.cancel();
        assert_eq!(job.finished().await.end, JobEnd::Stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn the_callers_mistake_is_named() {
        let harness = Harness::new(paint::worker());
        let run = harness.submit(0).finished().await;
        assert_eq!(run.error_message(), Some("steps must be at least 1"));
        let run = harness.submit("three").finished().await;
        assert_eq!(run.error_code(), Some("INVALID_INPUT"));
    }
}
