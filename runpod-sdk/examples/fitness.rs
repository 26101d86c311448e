//! Refuses to work on a machine that is not fit for it.
//!
//! Checks are made where a platform hands out jobs, and not for a job run alone. So the first command does its
//! job, and the second says which check failed and exits with 1, unless there are weights:
//!
//! ```text
//! cargo run --example fitness -- --test_input '{"input": 1}'
//! cargo run --example fitness --features local-server -- \
//!     --rp_serve_api --test_input '{"input": 1}'
//! ```
//!
//! With the feature `gpu` there is `fitness::gpu()`, too.

use std::time::Duration;

use runpod_sdk::fitness::{self, GIB};
use runpod_sdk::prelude::*;

#[handler]
async fn double(n: u64) -> JobResult<u64> {
    n.checked_mul(2)
        .ok_or_else(|| JobError::invalid_input("the number is too large"))
}

/// Fails where the weights are missing: the worker says so, exits with code 1, and the platform
/// puts another in its place.
async fn weights_are_here() -> std::io::Result<std::fs::Metadata> {
    std::fs::metadata("/models/xl.safetensors")
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(
        double::worker()
            .fitness_check("memory", fitness::memory().min_available(GIB / 16))
            .fitness_check("scratch", fitness::disk().path("/tmp").min_free_percent(0.0))
            // A network volume may take its time.
            .fitness_check(
                "weights",
                fitness::within(Duration::from_mins(1), weights_are_here),
            ),
    )
}
