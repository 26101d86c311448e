//! Uploads to a real S3 server on loopback, which checks every signature, and to servers with faults.

mod faults;
mod jobs;
mod links;
mod objects;
mod parts;
mod probing;
mod server;

use server::S3Server;

use crate::storage::test_server::Reply;

use super::{Bucket, BucketBuilder, Link, Object, Origin, UploadError};

const ACCESS_ID: &str = "AKIATEST";
const SECRET: &str = "hunter2hunter2";

/// A bucket `pics` at this endpoint.
fn at(endpoint: &str) -> BucketBuilder {
    Bucket::explicit(endpoint, ACCESS_ID, SECRET.to_owned())
        .bucket("pics")
        .without_pauses()
}

/// The bucket `pics` of a server, without pauses between tries.
fn bucket(server: &S3Server) -> Bucket {
    at(&server.url()).build().unwrap()
}

/// The answer of a storage to a PUT, or to a HEAD: the object has this many bytes.
fn stores(head: &str, bytes: usize) -> Reply {
    if head.starts_with("HEAD") {
        let about = "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\nETag: \"e\"\r\nConnection: close";
        return Reply::Whole(format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n{about}\r\n\r\n").into());
    }
    Reply::with("200 OK", "ETag: \"e\"\r\n", "")
}
