//! Finds out while it works how many jobs at once are best.
//!
//! ```text
//! cargo run --example adaptive_concurrency -- --test_input '{"input": 20}'
//! cargo run --example adaptive_concurrency --features local-server -- \
//!     --rp_serve_api --test_input '{"input": 20}'
//! cargo run --example adaptive_concurrency --features local-server -- --rp_serve_api
//! ```

use std::time::Duration;

use runpod_sdk::Concurrency;
use runpod_sdk::prelude::*;
use runpod_sdk::settings::Load;

/// Waits for a backend, so many milliseconds. Several jobs can wait at once.
#[handler]
async fn ask(millis: u64) -> JobResult<String> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(format!("answered after {millis} ms"))
}

/// More jobs at once while there are more to be had and they do not slow each other down. Any function of
/// the load will do.
fn jobs_at_once(load: Load) -> usize {
    load.suggest()
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(ask::worker().concurrency(Concurrency::adaptive(1..=8, jobs_at_once)))
}
