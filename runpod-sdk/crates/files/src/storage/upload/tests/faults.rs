//! Storage that refuses, fails, breaks the connection or is silent.

use std::time::Duration;

use runpod_protocol::causes;
use secrecy::SecretString;

use super::super::config::BucketConfig;
use super::*;
use crate::storage::test_server::Server;
use runpod_worker::{ErrorClass, JobError};

/// A bucket as the environment names it.
fn of_environment(endpoint: &str, secret: &str, bucket: &str) -> Bucket {
    let config = BucketConfig {
        origin: Origin::Environment,
        endpoint: endpoint.to_owned(),
        access_id: ACCESS_ID.to_owned(),
        access_secret: SecretString::from(secret),
        session_token: None,
        bucket: Some(bucket.to_owned()),
        region: None,
        prefix: None,
    };
    BucketBuilder::new(config).without_pauses().build().unwrap()
}

#[tokio::test]
async fn a_wrong_secret_names_the_variables_and_not_their_values() {
    let server = S3Server::start().await;
    for length in [1, 8 << 20] {
        let bucket = of_environment(&server.url(), "not the secret", "pics");
        let error = bucket.put("a.png", vec![b'x'; length], None).await.unwrap_err();
        assert!(
            matches!(&error, UploadError::Refused { status: 403, code, .. } if code == "SignatureDoesNotMatch"),
            "{error}"
        );
        let error = JobError::from(error);
        assert_eq!(
            (error.code().as_str(), error.class(), error.is_retryable()),
            ("UPLOAD_REFUSED", ErrorClass::Worker, false)
        );
        assert_eq!(
            error.hint(),
            Some("check BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY, and what they may do")
        );
        assert!(!format!("{error:?}").contains("not the secret"));
    }
    assert_eq!(server.methods(), ["PUT", "POST"], "a refusal is not tried again");
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_named() {
    // The server of the other tests makes buckets as they are needed.
    let server = Server::start(|_, _| {
        let body =
            "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>";
        Reply::with("404 Not Found", "", body)
    })
    .await;
    for length in [1, 8 << 20] {
        let bucket = of_environment(&server.url(""), SECRET, "nowhere");
        let error = bucket.put("a.png", vec![b'x'; length], None).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.png: the storage answered 404 NoSuchBucket: The specified bucket does not exist"
        );
        let error = JobError::from(error);
        assert_eq!(
            (error.code().as_str(), error.is_retryable()),
            ("UPLOAD_REFUSED", false)
        );
        assert_eq!(
            error.hint(),
            Some("check BUCKET_NAME, and that the bucket exists")
        );
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_refused_connection_is_tried_three_times_and_names_the_endpoint() {
    let closed = Server::start(|_, _| Reply::ok("")).await.url("");
    let error = of_environment(&closed, SECRET, "pics")
        .put("a.png", "x", None)
        .await
        .unwrap_err();
    match &error {
        UploadError::Broken {
            reason,
            attempts: 3,
            transient: true,
            ..
        } => {
            assert!(reason.contains("refused"), "{reason}");
            assert!(causes::find::<object_store::Error>(&error).is_some());
        }
        other => panic!("{other}"),
    }
    let error = JobError::from(error);
    assert_eq!(
        (error.code().as_str(), error.class(), error.is_retryable()),
        ("UPLOAD_FAILED", ErrorClass::Backend, true)
    );
    assert_eq!(error.hint(), Some("check BUCKET_ENDPOINT_URL"));
}

#[tokio::test]
async fn storage_that_recovers_gets_the_object() {
    for status in [500, 502, 503, 504, 429] {
        let server = S3Server::spoiled(move |number| (number < 2).then_some(status)).await;
        bucket(&server).put("a.png", "a picture", None).await.unwrap();
        assert_eq!(std::fs::read(server.stored("a.png")).unwrap(), b"a picture");
        assert_eq!(server.methods(), ["PUT", "PUT", "PUT", "HEAD"]);
    }
}

#[tokio::test]
async fn storage_that_does_not_recover_is_asked_three_times() {
    let server = S3Server::spoiled(|_| Some(503)).await;
    let error = bucket(&server).put("a.png", "x", None).await.unwrap_err();
    assert!(
        matches!(
            error,
            UploadError::Broken {
                attempts: 3,
                transient: true,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(server.methods(), ["PUT", "PUT", "PUT"]);
}

#[tokio::test]
async fn a_connection_reset_in_mid_body_is_tried_again() {
    let server = Server::start(|number, head| match number {
        0 => Reply::Reset,
        _ => stores(head, 4 << 20),
    })
    .await;
    at(&server.url(""))
        .build()
        .unwrap()
        .put("a.bin", vec![7; 4 << 20], None)
        .await
        .unwrap();
    let methods: Vec<_> = server
        .requests()
        .iter()
        .map(|head| head[..4].to_owned())
        .collect();
    assert_eq!(methods, ["PUT ", "PUT ", "HEAD"]);
}

#[tokio::test]
async fn an_object_that_arrived_short_is_an_error() {
    let server = Server::start(|_, head| stores(head, 3)).await;
    let error = at(&server.url(""))
        .build()
        .unwrap()
        .put("a.png", "four", None)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            UploadError::Mismatch {
                sent: 4,
                stored: 3,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn keys_that_may_write_and_not_read_are_enough() {
    let server = S3Server::spoiled(|number| (number == 1).then_some(403)).await;
    bucket(&server).put("a.png", "x", None).await.unwrap();
    assert_eq!(server.methods(), ["PUT", "HEAD"]);
}

#[tokio::test]
async fn a_silent_storage_is_left() {
    let server = Server::start(|_, _| Reply::Stall(Vec::new())).await;
    let bucket = at(&server.url(""))
        .request_timeout(Duration::from_millis(50))
        .attempts(2)
        .build()
        .unwrap();
    let error = bucket.put("a.png", "x", None).await.unwrap_err();
    assert!(
        matches!(error, UploadError::TimedOut { attempts: 2, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn garbage_and_endless_answers_are_failures() {
    let server = Server::start(|_, _| Reply::Whole(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())).await;
    let error = at(&server.url(""))
        .build()
        .unwrap()
        .put("a.png", "x", None)
        .await
        .unwrap_err();
    assert!(matches!(error, UploadError::Broken { .. }), "{error}");
    let server = Server::start(|_, _| Reply::ok(vec![b'x'; 2 << 20])).await;
    let error = at(&server.url(""))
        .build()
        .unwrap()
        .put("a.png", "x", None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, UploadError::Broken { transient: false, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::start(|_, _| Reply::ok("")).await;
    let to = other.url("/pics/a.png");
    let server = Server::start(move |_, _| Reply::redirect(&to)).await;
    let error = at(&server.url(""))
        .build()
        .unwrap()
        .put("a.png", "x", None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, UploadError::Refused { status: 302, .. }),
        "{error}"
    );
    assert!(other.requests().is_empty());
}

/// A storage that takes only what is signed for `eu-west-1`, and else names that region with this status.
async fn of_another_region(status: &'static str, in_body: bool) -> Server {
    Server::start(move |_, head| {
        if head.contains("/eu-west-1/s3/aws4_request") {
            return stores(head, 1);
        }
        let code = "<Error><Code>AuthorizationHeaderMalformed</Code>";
        if in_body {
            Reply::with(status, "", format!("{code}<Region>eu-west-1</Region></Error>"))
        } else {
            Reply::with(
                status,
                "x-amz-bucket-region: eu-west-1\r\n",
                format!("{code}</Error>"),
            )
        }
    })
    .await
}

#[tokio::test]
async fn a_bucket_in_another_region_gets_its_objects_there() {
    for (status, in_body) in [("400 Bad Request", true), ("301 Moved Permanently", false)] {
        let server = of_another_region(status, in_body).await;
        let bucket = at(&server.url("")).build().unwrap();
        let first = bucket.put("a.png", "x", None).await.unwrap();
        assert!(
            first.url.contains("eu-west-1"),
            "its link is signed for it, too: {}",
            first.url
        );
        bucket.put("b.png", "x", None).await.unwrap();
        // The region is remembered.
        assert_eq!(server.requests().len(), 1 + 2 + 2, "{status}");
    }
}

#[tokio::test]
async fn a_region_that_the_storage_goes_on_to_refuse_is_named_with_its_setting() {
    let server =
        Server::start(|_, _| Reply::with("301 Moved Permanently", "x-amz-bucket-region: eu-west-1\r\n", ""))
            .await;
    let bucket = of_environment(&server.url(""), SECRET, "pics");
    let error = JobError::from(bucket.put("a.png", "x", None).await.unwrap_err());
    assert_eq!(
        error.hint(),
        Some(
            "the bucket is in the region eu-west-1: set BUCKET_REGION=eu-west-1, and see that BUCKET_ENDPOINT_URL is the \
             endpoint of it"
        )
    );
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_name_that_no_region_can_have_is_not_followed() {
    let server = Server::start(|_, _| {
        Reply::with(
            "400 Bad Request",
            "",
            "<Error><Region>evil.example/x</Region></Error>",
        )
    })
    .await;
    bucket_of(&server).put("a.png", "x", None).await.unwrap_err();
    assert_eq!(server.requests().len(), 1);
}

fn bucket_of(server: &Server) -> Bucket {
    at(&server.url("")).build().unwrap()
}
