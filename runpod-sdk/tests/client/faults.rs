//! Servers that refuse, break off, or answer too soon.

use std::time::{Duration, Instant};

use runpod_sdk::client::{ClientError, EndpointClient, RetryPolicy};
use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockBuilder, MockServer, ResponseTemplate};

use crate::support::{EP, client_at};

const QUICK: RetryPolicy = RetryPolicy::DEFAULT;

fn client(server: &MockServer) -> EndpointClient {
    EndpointClient::builder(EP)
        .base_url(server.uri())
        .api_key("test-key")
        .retry(QUICK.pauses(Duration::from_millis(1), Duration::from_millis(2)))
        .build()
        .unwrap()
}

fn at(verb: &str, operation: &str) -> MockBuilder {
    Mock::given(method(verb)).and(path(format!("/{EP}/{operation}")))
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

fn job(state: &str) -> ResponseTemplate {
    status(200).set_body_json(json!({"id": "j", "status": state}))
}

/// A server that answers one operation first so, `times` times, and then otherwise.
async fn answering(
    verb: &str,
    operation: &str,
    first: ResponseTemplate,
    times: u64,
    then: ResponseTemplate,
) -> MockServer {
    let server = MockServer::start().await;
    at(verb, operation)
        .respond_with(first)
        .up_to_n_times(times)
        .mount(&server)
        .await;
    at(verb, operation).respond_with(then).mount(&server).await;
    server
}

async fn requests(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn questions_are_asked_again_after_a_server_error() {
    let healthy = status(200).set_body_json(json!({}));
    let server = answering("GET", "health", status(502), 2, healthy).await;
    client(&server).health().await.unwrap();
    assert_eq!(requests(&server).await, 3);
}

#[tokio::test]
async fn a_submission_is_sent_once_when_it_may_have_been_accepted() {
    for code in [500, 502, 503, 504] {
        let server = MockServer::start().await;
        at("POST", "run")
            .respond_with(status(code).set_body_string("oops"))
            .mount(&server)
            .await;
        let error = client(&server).run(&1).await.unwrap_err();
        assert!(
            matches!(&error, ClientError::Status { status, text } if status.as_u16() == code && text == "oops")
        );
        assert_eq!(requests(&server).await, 1);
    }
}

#[tokio::test]
async fn a_submission_whose_answer_is_lost_is_sent_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let submitting = tokio::spawn(async move { client_at(&base).run(&1).await });
    let (connection, _) = listener.accept().await.unwrap();
    connection.readable().await.unwrap();
    drop(connection);
    assert!(matches!(
        submitting.await.unwrap(),
        Err(ClientError::AnswerLost(_))
    ));
}

#[tokio::test]
async fn a_submission_refused_by_the_rate_limit_is_sent_again() {
    let server = answering("POST", "run", status(429), 1, job("IN_QUEUE")).await;
    assert_eq!(client(&server).run(&1).await.unwrap().id(), "j");
}

#[tokio::test]
async fn a_rate_limit_that_stays_is_an_error_in_the_end() {
    let server = MockServer::start().await;
    at("POST", "run").respond_with(status(429)).mount(&server).await;
    assert!(matches!(
        client(&server).run(&1).await,
        Err(ClientError::RateLimited)
    ));
    assert_eq!(requests(&server).await, 6);
}

#[tokio::test]
async fn a_server_that_asks_for_patience_gets_it() {
    let busy = status(429).insert_header("retry-after", "1");
    let server = answering("GET", "health", busy, 1, status(200).set_body_json(json!({}))).await;
    let asked = Instant::now();
    client(&server).health().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn nothing_is_sent_when_no_connection_can_be_opened() {
    // Bound and never listened to: connections are refused, and no other server gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}", socket.local_addr().unwrap());
    let client = EndpointClient::builder(EP)
        .base_url(base)
        .api_key("k")
        .retry(RetryPolicy::NEVER)
        .build()
        .unwrap();
    assert!(matches!(client.run(&1).await, Err(ClientError::Connect(_))));
}

#[tokio::test]
async fn the_key_goes_out_as_bearer_and_no_further_than_the_base_url() {
    let server = MockServer::start().await;
    let elsewhere = MockServer::start().await;
    let redirect = status(307).insert_header("location", format!("{}/x", elsewhere.uri()));
    at("GET", "health")
        .and(header("authorization", "Bearer test-key"))
        .respond_with(redirect)
        .mount(&server)
        .await;
    let error = client(&server).health().await.unwrap_err();
    assert!(matches!(error, ClientError::Status { status, .. } if status.as_u16() == 307));
    assert_eq!(requests(&elsewhere).await, 0);
}

#[tokio::test]
async fn a_wrong_key_is_named_as_such() {
    let server = MockServer::start().await;
    at("GET", "health").respond_with(status(401)).mount(&server).await;
    assert!(matches!(
        client(&server).health().await,
        Err(ClientError::Unauthorized)
    ));
    assert_eq!(requests(&server).await, 1);
}

#[tokio::test]
async fn both_ways_of_refusing_a_large_body_are_one_error() {
    let words = json!({"error": "bad request: body: exceeded max body size of 10MiB"});
    for refusal in [status(413), status(400).set_body_json(words)] {
        let server = MockServer::start().await;
        at("POST", "run").respond_with(refusal).mount(&server).await;
        let error = client(&server).run(&"x").await.unwrap_err();
        assert!(
            matches!(error, ClientError::TooLarge { bytes: 13, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_platform_without_status_sync_is_asked_patiently() {
    for missing in [404, 405] {
        let server = answering("GET", "status/j", job("IN_PROGRESS"), 2, job("COMPLETED")).await;
        at("GET", "status-sync/j")
            .respond_with(status(missing))
            .mount(&server)
            .await;
        client(&server).handle("j").wait().await.unwrap();
        let asked = server.received_requests().await.unwrap();
        let syncs = asked
            .iter()
            .filter(|request| request.url.path().contains("status-sync"))
            .count();
        assert_eq!((syncs, asked.len()), (1, 4), "after {missing}");
    }
}

#[tokio::test]
async fn polls_that_come_back_at_once_do_not_become_a_storm() {
    let server = MockServer::start().await;
    at("GET", "status-sync/j")
        .respond_with(job("IN_QUEUE"))
        .mount(&server)
        .await;
    let job = client(&server).handle("j");
    let waiting = tokio::time::timeout(Duration::from_millis(600), job.wait());
    assert!(waiting.await.is_err());
    assert!(requests(&server).await <= 3);
}

#[tokio::test]
async fn an_answer_that_is_no_job_is_an_error() {
    for body in ["", "<html>", "{}", "[]", r#"{"status":"IN_QUEUE"}"#] {
        let server = MockServer::start().await;
        at("POST", "run")
            .respond_with(status(200).set_body_string(body))
            .mount(&server)
            .await;
        assert!(
            matches!(client(&server).run(&1).await, Err(ClientError::Answer(_))),
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn a_wait_outlasts_pages_of_errors_lost_answers_and_states_that_are_not_final() {
    let page = status(502).set_body_string("<html>Bad Gateway");
    let server = MockServer::start().await;
    for (answer, times) in [
        (page, 8),
        (status(522), 8),
        (job("RUNNING"), 1),
        (job("PAUSED"), 1),
    ] {
        at("GET", "status-sync/j")
            .respond_with(answer)
            .up_to_n_times(times)
            .mount(&server)
            .await;
    }
    at("GET", "status-sync/j")
        .respond_with(job("COMPLETED"))
        .mount(&server)
        .await;
    let report = client(&server).handle("j").wait().await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED");
    assert_eq!(requests(&server).await, 8 + 8 + 1 + 1 + 1);
}

#[tokio::test]
async fn a_wait_outlasts_connections_that_break_and_so_does_one_that_listens() {
    for listens in [false, true] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let client = EndpointClient::builder(EP)
            .base_url(base)
            .api_key("k")
            .retry(RetryPolicy::NEVER)
            .build()
            .unwrap();
        let job = client.handle("j");
        let waiting = tokio::spawn(async move {
            if listens {
                job.wait_with(|_| {}).await
            } else {
                job.wait().await
            }
        });
        for _ in 0..3 {
            let (connection, _) = listener.accept().await.unwrap();
            connection.readable().await.unwrap();
        }
        let (mut connection, _) = listener.accept().await.unwrap();
        let body = r#"{"id":"j","status":"COMPLETED"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        tokio::io::AsyncWriteExt::write_all(&mut connection, answer.as_bytes())
            .await
            .unwrap();
        assert!(waiting.await.unwrap().unwrap().status.is_final());
    }
}

#[tokio::test]
async fn a_wait_ends_at_once_with_an_answer_that_will_not_change() {
    for code in [400, 401, 404] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(status(code))
            .mount(&server)
            .await;
        let waiting = tokio::time::timeout(Duration::from_secs(10), async {
            client(&server).handle("j").wait().await
        });
        assert!(waiting.await.unwrap().is_err(), "{code}");
    }
}
