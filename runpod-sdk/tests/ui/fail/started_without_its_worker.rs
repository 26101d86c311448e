use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: String) -> JobResult<String> {
    Ok(name)
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet)
}
