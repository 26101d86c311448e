//! Uploads in parts that meet faults, or are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::storage::test_server::Server;

/// The answer to the request that begins an upload.
const BEGUN: &str = "<InitiateMultipartUploadResult><Bucket>pics</Bucket><Key>a</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>";

#[tokio::test]
async fn every_request_of_an_upload_in_parts_is_tried_again() {
    // Each other request fails, so that each of them is sent twice.
    let server = S3Server::spoiled(|number| (number % 2 == 0).then_some(503)).await;
    bucket(&server)
        .put("a.bin", vec![7; 9 << 20], None)
        .await
        .unwrap();
    assert_eq!(std::fs::read(server.stored("a.bin")).unwrap(), vec![7; 9 << 20]);
}

#[tokio::test]
async fn an_upload_in_parts_that_fails_is_called_off() {
    // The first request begins the upload; the parts are refused.
    let server = S3Server::spoiled(|number| matches!(number, 1..=2).then_some(403)).await;
    let error = bucket(&server)
        .put("a.bin", vec![7; 16 << 20], None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, UploadError::Refused { status: 403, .. }),
        "{error}"
    );
    while !server.methods().contains(&"DELETE".to_owned()) {
        tokio::task::yield_now().await;
    }
    assert!(!server.stored("a.bin").exists());
}

#[tokio::test]
async fn an_error_inside_the_last_answer_of_an_upload_in_parts_is_tried_again() {
    let completed = Arc::new(AtomicUsize::new(0));
    let count = completed.clone();
    let server = Server::start(move |_, head| {
        if head.contains("?uploads") {
            return Reply::ok(BEGUN);
        }
        if head.starts_with("POST") && count.fetch_add(1, Ordering::SeqCst) == 0 {
            return Reply::ok("<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>");
        }
        if head.starts_with("POST") {
            return Reply::ok("<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>");
        }
        stores(head, 8 << 20)
    })
    .await;
    at(&server.url(""))
        .build()
        .unwrap()
        .put("a", vec![7; 8 << 20], None)
        .await
        .unwrap();
    assert_eq!(completed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_dropped_upload_is_called_off_at_once() {
    let server = Server::start(|_, head| {
        if head.contains("?uploads") {
            return Reply::ok(BEGUN);
        }
        if head.starts_with("DELETE") {
            return Reply::status("204 No Content");
        }
        Reply::Stall(Vec::new())
    })
    .await;
    let bucket = at(&server.url("")).build().unwrap();
    let upload = tokio::spawn(async move { bucket.put("a", vec![7; 16 << 20], None).await });
    while server
        .requests()
        .iter()
        .filter(|head| head.contains("partNumber"))
        .count()
        < 2
    {
        tokio::task::yield_now().await;
    }
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    while !server
        .requests()
        .iter()
        .any(|head| head.starts_with("DELETE") && head.contains("uploadId=u"))
    {
        tokio::task::yield_now().await;
    }
}
