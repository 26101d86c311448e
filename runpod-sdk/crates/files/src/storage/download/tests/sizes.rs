//! The limits of sizes.

use super::super::DownloadError;
use super::*;
use crate::storage::test_server::{Reply, Server};
use runpod_worker::JobError;

const LIMIT: u64 = 100;

async fn fetch(reply: fn(usize, &str) -> Reply) -> (Result<bytes::Bytes, DownloadError>, usize) {
    let server = Server::start(reply).await;
    let names = Arc::new(Names::default().with("files.example", &[&[PUBLIC]]));
    let downloader = options(&names).max_in_memory(LIMIT).build().unwrap();
    let result = downloader
        .bytes(&format!("http://files.example:{}/", server.port()))
        .await;
    (result, server.requests().len())
}

fn chunked(length: usize) -> Reply {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    Reply::Whole(format!("{head}{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length)).into())
}

#[tokio::test]
async fn a_file_of_exactly_the_limit_passes() {
    assert_eq!(fetch(|_, _| Reply::ok([b'x'; 100])).await.0.unwrap().len(), 100);
    assert_eq!(fetch(|_, _| chunked(100)).await.0.unwrap().len(), 100);
}

#[tokio::test]
async fn a_size_announced_too_large_is_refused_before_the_body() {
    let (result, requests) =
        fetch(|_, _| Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n".to_vec())).await;
    let error = result.unwrap_err();
    assert!(
        matches!(error, DownloadError::TooLarge { limit: LIMIT, .. }),
        "{error}"
    );
    assert_eq!(requests, 1);
    assert_eq!(JobError::from(error).code().as_str(), "DOWNLOAD_TOO_LARGE");
}

#[tokio::test]
async fn an_absurd_announcement_is_believed_only_so_far_as_to_refuse_it() {
    let (result, _) = fetch(|_, _| Reply::cut(1 << 60, "x")).await;
    assert!(matches!(result, Err(DownloadError::TooLarge { .. })));
}

#[tokio::test]
async fn a_body_that_grows_past_the_limit_is_cut_off() {
    for endless in [
        |_: usize, _: &str| chunked(101),
        |_: usize, _: &str| {
            let body = "x".repeat(1000);
            Reply::Stall(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").into())
        },
    ] {
        let (result, requests) = fetch(endless).await;
        assert!(matches!(result, Err(DownloadError::TooLarge { .. })));
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn a_compressed_body_is_not_taken() {
    let (result, requests) =
        fetch(|_, _| Reply::with("200 OK", "Content-Encoding: gzip\r\n", [0x1f, 0x8b])).await;
    let error = result.unwrap_err();
    assert!(matches!(error, DownloadError::Encoded { .. }), "{error}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn the_limit_for_files_holds_in_memory_too() {
    let server = Server::start(|_, _| Reply::ok([b'x'; 11])).await;
    let names = Arc::new(Names::default().with("files.example", &[&[PUBLIC]]));
    let downloader = options(&names).max_bytes(10).build().unwrap();
    let url = format!("http://files.example:{}/", server.port());
    assert!(matches!(
        downloader.bytes(&url).await,
        Err(DownloadError::TooLarge { limit: 10, .. })
    ));
}
