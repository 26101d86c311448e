use runpod_sdk::prelude::*;

enum GreetError {
    NoName,
}

#[handler]
async fn greet(name: String) -> Result<String, GreetError> {
    if name.is_empty() {
        return Err(GreetError::NoName);
    }
    Ok(format!("Hello, {name}!"))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
