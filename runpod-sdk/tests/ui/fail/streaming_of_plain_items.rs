use futures_util::{Stream, stream};
use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: String) -> JobResult<Streaming<impl Stream<Item = String>>> {
    Ok(Streaming::new(stream::iter([name])))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
