//! Work that blocks its thread: it gets one of its own, and can still be cancelled.
//!
//! ```text
//! cargo run --example blocking -- --test_input '{"input": {"up_to": 1000}}'
//! cargo run --example blocking --features local-server -- \
//!     --rp_serve_api --test_input '{"input": {"up_to": 1000}}'
//! ```

use runpod_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Search {
    up_to: u32,
}

#[handler(blocking)]
fn largest_prime(input: Search, ctx: Context) -> JobResult<Option<u32>> {
    let is_prime = |n: u32| n >= 2 && (2..=n.isqrt()).all(|d| !n.is_multiple_of(d));
    for n in (0..=input.up_to).rev() {
        // Nobody can stop a thread from outside.
        if ctx.is_cancelled() {
            return Err(JobError::message_only("cancelled"));
        }
        if is_prime(n) {
            return Ok(Some(n));
        }
    }
    Ok(None)
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(largest_prime::worker())
}
