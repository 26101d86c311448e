use runpod_sdk::prelude::*;

#[handler]
async fn greet(name: &str, ctx: &Context) -> JobResult<String> {
    Ok(format!("Hello, {name} of {}!", ctx.job_id()))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
