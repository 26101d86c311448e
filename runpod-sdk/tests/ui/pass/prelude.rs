//! The simplest worker, as the crate's front page shows it.
#![deny(warnings)]

use runpod_sdk::prelude::*;

#[derive(serde::Deserialize)]
struct Greeting {
    name: String,
}

#[handler]
async fn greet(input: Greeting) -> JobResult<String> {
    Ok(format!("Hello, {}!", input.name))
}

pub(crate) fn main() {
    let _: Worker = greet::worker();
}
