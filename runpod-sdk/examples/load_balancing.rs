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

use std::sync::Arc;
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

/// The signs that are refused. A real worker loads its model here.
#[derive(Clone)]
struct Refused(Arc<str>);

impl Refused {
    /// Until this has ended `/ping` answers 204, and requests are refused.
    async fn load() -> std::io::Result<Self> {
        let Some(file) = std::env::var_os("REFUSED_SIGNS") else {
            return Ok(Self("!".into()));
        };
        Ok(Self(tokio::fs::read_to_string(file).await?.trim().into()))
    }
}

/// One chunk for each letter. Clients that do not ask for a stream get a list.
#[handler(stream, concurrency = 4)]
fn spell(input: Text, State(refused): State<Refused>) -> impl Stream<Item = JobResult<String>> {
    let letters: Vec<char> = input.text.chars().collect();
    let pause = Duration::from_millis(input.pause_ms);
    stream::iter(letters).then(move |letter| {
        let shouts = refused.0.contains(letter);
        async move {
            tokio::time::sleep(pause).await;
            if shouts {
                return Err(JobError::invalid_input("no shouting"));
            }
            Ok(letter.to_uppercase().to_string())
        }
    })
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(spell::worker().state_with(Refused::load).load_balancing())
}
