//! Two handlers in one worker, each with its own input, state and schema. `task` says which one is meant.
//!
//! ```text
//! cargo run --example router --features schema -- --test_input '{"input": {"task": "paint", "prompt": "a cat"}}'
//! cargo run --example router --features schema,local-server -- \
//!     --rp_serve_api --test_input '{"input": {"task": "spell", "text": "hi"}}'
//! cargo run --example router --features schema -- --schema
//! ```

use std::sync::Arc;

use futures_util::{Stream, stream};
use runpod_sdk::Checked;
use runpod_sdk::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Prompt {
    prompt: String,
    /// How many strokes the picture gets.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 9))]
    strokes: usize,
}

fn four() -> usize {
    4
}

#[derive(Clone)]
struct Brush(Arc<str>);

#[handler]
async fn paint(Checked(input): Checked<Prompt>, State(brush): State<Brush>) -> JobResult<String> {
    Ok(format!("{} {}", input.prompt, brush.0.repeat(input.strokes)))
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[handler(stream)]
fn spell(Checked(input): Checked<Text>) -> impl Stream<Item = JobResult<char>> {
    stream::iter(input.text.chars().map(Ok).collect::<Vec<_>>())
}

fn main() -> std::process::ExitCode {
    let router = Router::new()
        .route("paint", paint::worker().state(Brush("~".into())))
        .route("spell", spell::worker());
    runpod_sdk::start(router.into_worker())
}
