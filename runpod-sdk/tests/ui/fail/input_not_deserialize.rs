use runpod_sdk::prelude::*;

struct Greeting {
    name: String,
}

#[handler]
async fn greet(input: Greeting) -> JobResult<String> {
    Ok(format!("Hello, {}!", input.name))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
