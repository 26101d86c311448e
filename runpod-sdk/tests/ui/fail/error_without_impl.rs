use runpod_sdk::prelude::*;

#[handler]
async fn greet(path: String) -> Result<String, std::fmt::Error> {
    Ok(path)
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
