//! A file that the job names by its URL, fetched into the job's scratch directory.
//!
//! ```text
//! cargo run --example url_input --features download -- \
//!     --test_input '{"input": {"url": "https://www.rust-lang.org/static/images/rust-logo-blk.svg"}}'
//! cargo run --example url_input --features download,local-server -- \
//!     --rp_serve_api --test_input '{"input": {"url": "https://www.rust-lang.org/static/images/rust-logo-blk.svg"}}'
//! ```

use runpod_sdk::prelude::*;
use runpod_sdk::storage::Downloader;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    url: String,
}

#[derive(Serialize)]
struct Found {
    name: Option<String>,
    bytes: u64,
    lines: usize,
}

#[handler]
async fn count_lines(
    request: Request,
    ctx: Context,
    State(downloader): State<Downloader>,
) -> JobResult<Found> {
    // The directory is gone when the job is, and the file with it.
    let file = downloader.file(&request.url, ctx.scratch_dir()?).await?;
    let text = std::fs::read_to_string(&file.path)?;
    Ok(Found {
        lines: text.lines().count(),
        name: file.original_name,
        bytes: file.bytes,
    })
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(count_lines::worker().state_with(async || Downloader::from_env()))
}
