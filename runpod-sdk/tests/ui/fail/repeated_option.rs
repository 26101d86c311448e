use runpod_sdk::prelude::*;

#[handler(timeout = "1m", concurrency = 4, timeout = "2m")]
async fn greet(name: String) -> JobResult<String> {
    Ok(format!("Hello, {name}!"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
