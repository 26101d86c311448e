//! The smallest worker. The first command runs one job, the second takes it through RunPod's API on this machine,
//! the third serves that API until Ctrl-C; every other example can be run in the same ways.
//!
//! ```text
//! cargo run --example hello -- --test_input '{"input": {"name": "World"}}'
//! cargo run --example hello --features local-server -- \
//!     --rp_serve_api --test_input '{"input": {"name": "World"}}'
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
