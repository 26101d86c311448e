//! A load-balancing endpoint: requests come straight to the worker, and it answers them itself.
//!
//! ```text
//! cargo run --example load_balancing --features http-modes
//! curl -s localhost:8000/ping -w '%{http_code}'
//! curl -s localhost:8000/ -d '{"text": "hello"}'
//! curl -s localhost:8000/ -d '{"text": "hello"}' -H 'Accept: text/event-stream'
//! ```
//!
//! The same handler behind a queue:
//!
//! ```text
//! cargo run --example load_balancing --features http-modes,local-server -- \
//!     --rp_serve_api --test_input '{"input": {"text": "hello"}}'
//! ```

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use runpod_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Text {
    text: String,
    /// Pause before each letter.
    #[serde(default)]
    pause_ms: u64,
}

/// One chunk for each letter. Clients that do not ask for a stream get a list.
#[handler(stream, concurrency = 4)]
fn spell(input: Text) -> impl Stream<Item = JobResult<String>> {
    let letters: Vec<char> = input.text.chars().collect();
    let pause = Duration::from_millis(input.pause_ms);
    stream::iter(letters).then(move |letter| async move {
        tokio::time::sleep(pause).await;
        match letter {
            '!' => Err(JobError::invalid_input("no shouting")),
            letter => Ok(letter.to_uppercase().to_string()),
        }
    })
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(spell::worker().load_balancing())
}
