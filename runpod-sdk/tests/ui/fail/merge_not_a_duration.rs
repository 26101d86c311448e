use futures_util::{Stream, stream};
use runpod_sdk::prelude::*;

#[handler(stream, merge = 50)]
fn spell(word: String) -> impl Stream<Item = JobResult<String>> {
    stream::iter([Ok(word)])
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(spell::worker())
}
