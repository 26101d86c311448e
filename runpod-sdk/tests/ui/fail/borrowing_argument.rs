use std::borrow::Cow;

use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: Cow<'_, str>) -> JobResult<String> {
    Ok(format!("Hello, {name}!"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
