use runpod_sdk::prelude::*;

#[handler]
async fn greet() -> JobResult<String> {
    Ok("Hello!".into())
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
