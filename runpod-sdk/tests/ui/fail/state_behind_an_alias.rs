use runpod_sdk::prelude::*;

#[derive(Clone)]
struct App {
    word: String,
}

type TheApp = State<App>;

#[handler]
async fn greet(name: String, app: TheApp) -> JobResult<String> {
    Ok(format!("{}, {name}!", app.0.word))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
