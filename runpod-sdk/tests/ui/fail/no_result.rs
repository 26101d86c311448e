use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: String) -> String {
    format!("Hello, {name}!")
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
