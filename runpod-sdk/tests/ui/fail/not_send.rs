use std::rc::Rc;

use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: String) -> JobResult<String> {
    let name = Rc::new(name);
    tokio::task::yield_now().await;
    Ok(format!("Hello, {name}!"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
