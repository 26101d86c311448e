use runpod_sdk::prelude::*;

#[handler]
async fn greet(path: String) -> Result<String, std::io::Error> {
    std::fs::read_to_string(path)
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
