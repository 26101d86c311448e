use std::rc::Rc;

use futures_util::{Stream, stream};
use runpod_sdk::prelude::*;

#[handler(stream)]
fn greet(name: String) -> impl Stream<Item = JobResult<String>> {
    let name = Rc::new(name);
    stream::iter((0..2).map(move |_| Ok(name.to_string())))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
