use runpod_sdk::prelude::*;

struct Picture {
    _pixels: Vec<u8>,
}

#[handler]
async fn greet(_input: String) -> JobResult<Picture> {
    Ok(Picture { _pixels: Vec::new() })
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
