use futures_util::{Stream, stream};
use runpod_sdk::prelude::*;

#[handler(blocking, stream)]
fn greet(name: String) -> impl Stream<Item = JobResult<String>> {
    stream::iter([Ok(name)])
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
