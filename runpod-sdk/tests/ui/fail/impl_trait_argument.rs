use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: impl std::fmt::Display) -> JobResult<String> {
    Ok(format!("Hello, {name}!"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
