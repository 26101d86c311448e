//! The smallest worker.
//!
//! ```text
//! cargo run --example hello -- --test_input '{"input": {"name": "World"}}'
//! cargo run --example hello --features local-server -- --rp_serve_api
//! ```

use runpod_sdk::prelude::*;

#[derive(serde::Deserialize)]
struct Greeting {
    name: String,
}

#[handler]
async fn greet(input: Greeting) -> JobResult<String> {
    Ok(format!("Hello, {}!", input.name))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
