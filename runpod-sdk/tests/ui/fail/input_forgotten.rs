use runpod_sdk::prelude::*;

#[handler]
async fn greet(ctx: Context) -> JobResult<String> {
    Ok(format!("Hello, {}!", ctx.job_id()))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
