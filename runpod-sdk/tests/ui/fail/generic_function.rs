use runpod_sdk::prelude::*;

#[handler]
async fn greet<T: std::fmt::Display>(name: T) -> JobResult<String> {
    Ok(format!("Hello, {name}!"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
