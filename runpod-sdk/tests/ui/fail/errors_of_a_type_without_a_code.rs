use runpod_sdk::prelude::*;

#[handler(errors(std::fmt::Error))]
async fn greet(name: String) -> JobResult<String> {
    Ok(name)
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
