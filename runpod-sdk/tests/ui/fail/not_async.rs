use runpod_sdk::prelude::*;

#[handler]
fn greet(name: String) -> JobResult<String> {
    Ok(format!("Hello, {name}!"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
