use futures_util::{Stream, stream};
use runpod_sdk::prelude::*;

#[handler(stream)]
fn greet(name: String) -> impl Stream<Item = String> {
    stream::iter([name])
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
