use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: String, times: u32) -> JobResult<String> {
    Ok(format!("Hello, {name}!").repeat(times as usize))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
