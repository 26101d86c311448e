//! A picture put into S3-compatible storage, and a link to it as the output.
//!
//! Where to: the job's own `s3Config`, else the variables `BUCKET_ENDPOINT_URL`, `BUCKET_ACCESS_KEY_ID` and
//! `BUCKET_SECRET_ACCESS_KEY`, else, where it is named, a directory that stands in for storage:
//!
//! ```text
//! RUNPOD_WORKER_LOCAL_UPLOADS=/tmp/uploads cargo run --example s3_output --features upload -- \
//!     --test_input '{"input": {"shade": 128}}'
//! RUNPOD_WORKER_LOCAL_UPLOADS=/tmp/uploads cargo run --example s3_output --features upload,local-server -- \
//!     --rp_serve_api --test_input '{"input": {"shade": 128}}'
//! ```

use runpod_sdk::prelude::*;
use runpod_sdk::storage::Bucket;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    shade: u8,
}

#[derive(Serialize)]
struct Painted {
    url: String,
    bytes: u64,
}

#[handler]
async fn paint(request: Request, ctx: Context) -> JobResult<Painted> {
    let bucket = Bucket::for_job(ctx.job())?;
    bucket.check_host().await?;
    // A grey picture of 16 by 16 pixels, in a format that needs no library.
    let mut picture = b"P5 16 16 255\n".to_vec();
    picture.extend([request.shade; 16 * 16]);
    let key = Bucket::key(ctx.job_id(), "picture.pgm");
    let uploaded = bucket.put(&key, picture, "image/x-portable-graymap").await?;
    Ok(Painted {
        url: uploaded.url,
        bytes: uploaded.bytes,
    })
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(paint::worker())
}
