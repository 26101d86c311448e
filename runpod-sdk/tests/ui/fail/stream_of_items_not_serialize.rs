use futures_util::{Stream, stream};
use runpod_sdk::prelude::*;

struct Chunk;

#[handler(stream)]
fn greet(_name: String) -> impl Stream<Item = JobResult<Chunk>> {
    stream::iter([Ok(Chunk)])
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
