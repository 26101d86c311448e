use runpod_sdk::prelude::*;

#[handler(concurrency = many, timeout = 600, retries = 3)]
async fn greet(name: &str) {
    println!("Hello, {name}!");
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
