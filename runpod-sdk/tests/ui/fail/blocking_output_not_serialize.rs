use runpod_sdk::prelude::*;

struct Picture;

#[handler(blocking)]
fn greet(_input: String) -> JobResult<Picture> {
    Ok(Picture)
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
