use runpod_sdk::prelude::*;

#[derive(Clone)]
struct App;

#[derive(Clone)]
struct Words(String);

#[handler(state = App)]
async fn greet(name: String, State(words): State<Words>) -> JobResult<String> {
    Ok(format!("{}, {name}!", words.0))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker().state(App))
}
