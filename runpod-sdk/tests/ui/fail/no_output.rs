use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: String) {
    println!("Hello, {name}!");
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
