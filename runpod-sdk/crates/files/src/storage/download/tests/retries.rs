//! Which failures are tried again, and for how long.

use std::time::Duration;

use super::super::DownloadError;
use super::*;
use crate::storage::test_server::{Reply, Server};
use runpod_protocol::causes;
use runpod_worker::{ErrorClass, JobError};

async fn fetch(server: &Server) -> Result<bytes::Bytes, DownloadError> {
    let url = format!("http://files.example:{}/a.png?sig=secret", server.port());
    downloader().bytes(&url).await
}

#[tokio::test]
async fn a_server_that_recovers_is_asked_until_it_does() {
    for trouble in [
        "500 Oops", "502 Bad", "503 Busy", "504 Late", "429 Slow", "408 Late",
    ] {
        let server = Server::start(move |number, _| match number {
            0 | 1 => Reply::status(trouble),
            _ => Reply::ok("a picture"),
        })
        .await;
        assert_eq!(fetch(&server).await.unwrap(), "a picture", "{trouble}");
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn a_server_that_does_not_recover_is_asked_three_times() {
    let server = Server::start(|_, _| Reply::status("503 Busy")).await;
    let error = fetch(&server).await.unwrap_err();
    assert!(
        matches!(error, DownloadError::Status { status: 503, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);
    let error = JobError::from(error);
    assert_eq!(error.code().as_str(), "DOWNLOAD_FAILED");
    assert_eq!((error.class(), error.is_retryable()), (ErrorClass::Backend, true));
}

#[tokio::test]
async fn a_404_and_other_refusals_are_final() {
    for refusal in [
        "400 Bad",
        "401 Who",
        "403 No",
        "404 Not Found",
        "410 Gone",
        "204 Empty",
        "206 Part",
    ] {
        let server = Server::start(move |_, _| Reply::status(refusal)).await;
        let error = fetch(&server).await.unwrap_err();
        assert_eq!(server.requests().len(), 1, "{refusal}");
        assert!(!error.to_string().contains("secret"));
        let error = JobError::from(error);
        assert_eq!((error.class(), error.is_retryable()), (ErrorClass::User, false));
    }
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_beyond_the_time_limit_is_not_begun() {
    let server = Server::start(|_, _| Reply::with("429 Slow", "Retry-After: 3600\r\n", "")).await;
    let error = fetch(&server).await.unwrap_err();
    match error {
        DownloadError::Status {
            status: 429,
            retry_after,
            ..
        } => {
            assert_eq!(retry_after, Some(Duration::from_hours(1)));
        }
        other => panic!("{other}"),
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_cut_short_is_fetched_again_from_its_beginning() {
    let server = Server::start(|number, _| match number {
        0 => Reply::cut(9, "a pi"),
        _ => Reply::ok("a picture"),
    })
    .await;
    assert_eq!(fetch(&server).await.unwrap(), "a picture");
}

#[tokio::test]
async fn a_body_always_cut_short_is_a_broken_connection() {
    let server = Server::start(|_, _| Reply::cut(9, "a pi")).await;
    let error = fetch(&server).await.unwrap_err();
    assert!(
        matches!(error, DownloadError::Broken { transient: true, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn garbage_is_a_broken_connection() {
    let server = Server::start(|_, _| Reply::Whole(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())).await;
    let error = fetch(&server).await.unwrap_err();
    assert!(matches!(error, DownloadError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn a_refused_connection_names_its_cause() {
    let port = Server::start(|_, _| Reply::ok("")).await.port();
    let error = downloader()
        .bytes(&format!("http://files.example:{port}/a?sig=secret"))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("could not connect") && text.contains("refused"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_broken_download_keeps_its_cause_and_not_its_url() {
    let port = Server::start(|_, _| Reply::ok("")).await.port();
    let error = downloader()
        .bytes(&format!("http://files.example:{port}/a?sig=secret"))
        .await
        .unwrap_err();
    assert!(causes::find::<reqwest::Error>(&error).is_some_and(reqwest::Error::is_connect));
    for cause in causes::chain(&error) {
        assert!(!format!("{cause} {cause:?}").contains("secret"), "{cause:?}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_looked_up_again() {
    let names = Arc::new(Names::default());
    let downloader = options(&names).build().unwrap();
    let error = downloader.bytes("http://nowhere.example/").await.unwrap_err();
    assert!(error.to_string().contains("no such name"), "{error}");
    assert_eq!(names.asked().len(), 3);
}

#[tokio::test]
async fn a_silent_server_is_left() {
    for reply in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na pi"] {
        let server = Server::start(|_, _| Reply::Stall(reply.into())).await;
        let names = Arc::new(Names::default().with("files.example", &[&[PUBLIC]]));
        let downloader = options(&names)
            .stall_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        let url = format!("http://files.example:{}/", server.port());
        let error = downloader.bytes(&url).await.unwrap_err();
        assert!(
            matches!(error, DownloadError::TimedOut { limit, .. } if limit.as_millis() == 50),
            "{error}"
        );
        assert_eq!(server.requests().len(), 3, "{reply}");
    }
}

#[tokio::test]
async fn the_time_for_everything_holds() {
    let server = Server::start(|_, _| Reply::Stall(Vec::new())).await;
    let names = Arc::new(Names::default().with("files.example", &[&[PUBLIC]]));
    let downloader = options(&names)
        .timeout(Duration::from_millis(80))
        .build()
        .unwrap();
    let url = format!("http://files.example:{}/", server.port());
    let error = downloader.bytes(&url).await.unwrap_err();
    assert!(
        matches!(error, DownloadError::TimedOut { limit, .. } if limit.as_millis() == 80),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn text_that_is_no_url_is_an_invalid_input() {
    for text in ["", "picture.png", "http://", "/etc/passwd", "https://exa mple/"] {
        let error = JobError::from(downloader().bytes(text).await.unwrap_err());
        assert_eq!(error.code().as_str(), "INVALID_INPUT", "{text}");
        assert_eq!(error.class(), ErrorClass::User);
    }
}

#[tokio::test]
async fn a_block_tells_the_caller_so() {
    let error = JobError::from(downloader().bytes("http://169.254.169.254/").await.unwrap_err());
    insta::assert_snapshot!(error.to_string());
    assert_eq!((error.class(), error.is_retryable()), (ErrorClass::User, false));
}
