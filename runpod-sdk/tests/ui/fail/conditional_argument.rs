use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: String, #[cfg(unix)] ctx: Context) -> JobResult<String> {
    Ok(format!("Hello, {name}! {ctx:?}"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
