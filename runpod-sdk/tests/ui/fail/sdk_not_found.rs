use runpod_sdk::prelude::*;

#[handler(crate = ::no_such_crate)]
async fn greet(name: String) -> JobResult<String> {
    Ok(format!("Hello, {name}!"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
