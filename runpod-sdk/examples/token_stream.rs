//! Answers piece by piece; clients read the pieces from `/stream`.
//!
//! ```text
//! cargo run --example token_stream -- --test_input '{"input": {"prompt": "one two three"}}'
//! cargo run --example token_stream --features local-server -- \
//!     --rp_serve_api --test_input '{"input": {"prompt": "one two three"}}'
//! ```

use futures_util::{Stream, StreamExt, stream};
use runpod_sdk::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Prompt {
    prompt: String,
}

#[derive(Serialize)]
struct Token {
    text: String,
}

/// `aggregate` makes the list of all tokens the job's final output, too.
#[handler(stream, aggregate)]
fn tokens(input: Prompt) -> impl Stream<Item = JobResult<Token>> {
    let words: Vec<String> = input.prompt.split_whitespace().map(str::to_owned).collect();
    stream::iter(words).map(|text| Ok(Token { text }))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(tokens::worker())
}
