//! Uploads to a real S3 server on loopback, which checks every signature, and to servers with faults.

mod faults;
mod jobs;
mod links;
mod objects;
mod probing;
mod server;

use server::S3Server;

use super::{Bucket, BucketBuilder, Link, Object, Origin, UploadError};

const ACCESS_ID: &str = "AKIATEST";
const SECRET: &str = "hunter2hunter2";

/// A bucket `pics` at this endpoint.
fn at(endpoint: &str) -> BucketBuilder {
    Bucket::explicit(endpoint, ACCESS_ID, SECRET.to_owned())
        .bucket("pics")
        .without_pauses()
}

fn bucket(server: &S3Server) -> Bucket {
    at(&server.url()).build().unwrap()
}
