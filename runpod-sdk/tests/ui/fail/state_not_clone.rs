use runpod_sdk::prelude::*;

struct App {
    word: String,
}

#[handler]
async fn greet(name: String, State(app): State<App>) -> JobResult<String> {
    Ok(format!("{}, {name}!", app.word))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker().state(App { word: "Hello".into() }))
}
