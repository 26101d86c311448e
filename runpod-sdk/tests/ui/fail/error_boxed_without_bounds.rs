use runpod_sdk::prelude::*;

#[handler]
async fn greet(path: String) -> Result<String, Box<dyn std::error::Error>> {
    Ok(std::fs::read_to_string(path)?)
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
