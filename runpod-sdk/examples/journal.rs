//! Keeps results on disk until they are delivered, so that they outlive the process.
//!
//! ```text
//! cargo run --example journal -- --test_input '{"input": {"pages": 3}}'
//! RUNPOD_WORKER_JOURNAL=/tmp/journal cargo run --example journal --features local-server -- \
//!     --rp_serve_api --test_input '{"input": {"pages": 3}}'
//! RUNPOD_WORKER_JOURNAL=/tmp/journal cargo run --example journal --features local-server -- --rp_serve_api
//! ```
//!
//! A deployed worker that is killed after a job has ended, and before the platform has its result, leaves it in the
//! journal: the next start delivers it. A job with `"crash": true` takes its process with it, each time it is handed
//! out; at the third time it fails as `POISON_JOB` instead of running once more.

use std::time::Duration;

use runpod_sdk::Journal;
use runpod_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Book {
    pages: usize,
    #[serde(default)]
    crash: bool,
}

#[handler]
async fn print(book: Book) -> JobResult<String> {
    tracing::info!("printing");
    if book.crash {
        // Stands for a native library with a fault, or for too little memory.
        std::process::abort();
    }
    Ok("page\n".repeat(book.pages))
}

fn main() -> std::process::ExitCode {
    // On the network volume, where the next worker finds it. RUNPOD_WORKER_JOURNAL names another place, or none: off.
    let journal = Journal::at("/runpod-volume/journal")
        .keep(Duration::from_mins(30))
        .crashes(2);
    runpod_sdk::start(print::worker().journal(journal))
}
