//! Faults of servers other than the plain A1111, and of their surroundings.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mock_webui::{Fault, MockWebUi, Phase, Profile};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{get, post, render, small, start};

#[test]
fn the_documentation_lists_every_kind_of_fault() {
    let page = include_str!("../../../docs/mock-webui.md");
    let table = mock_webui::FaultKind::table();
    assert!(
        page.contains(&table),
        "replace the table with the output of `mock-webui faults`:\n{table}"
    );
}

#[tokio::test]
async fn a_running_mock_lists_the_kinds_of_faults() {
    let webui = MockWebUi::start().await;
    let url = format!("{}/__mock/fault-kinds", webui.url());
    let kinds: Value = crate::support::fetch(url)
        .await
        .expect("answered")
        .json()
        .await
        .expect("JSON");
    let names = kinds
        .as_array()
        .expect("a list")
        .iter()
        .map(|kind| kind["kind"].clone());
    let known = mock_webui::FaultKind::ALL.iter().map(|kind| json!(kind.name));
    assert!(names.eq(known), "{kinds}");
}

#[tokio::test]
async fn an_exception_can_be_raised_by_any_route() {
    let fault = || {
        Fault::exception("KeyError", "'x'")
            .on("/sdapi/v1/sd-models")
            .sticky()
    };
    for (profile, reason) in [(Profile::V1_10_1, "errors"), (Profile::Forge, "message")] {
        let webui = MockWebUi::builder().profile(profile).fault(fault()).start().await;
        for _ in 0..3 {
            let models = get(&webui, "sd-models").await;
            assert_eq!(
                (&models["error"], &models[reason]),
                (&json!("KeyError"), &json!("'x'"))
            );
        }
        assert_eq!(
            render(&webui, &small("x", 1)).await["images"]
                .as_array()
                .map(Vec::len),
            Some(1)
        );
    }
}

#[tokio::test]
async fn a_list_can_be_slow_while_the_others_are_not() {
    let slow = Fault::slow_answer(Duration::from_millis(300)).on("/sdapi/v1/loras");
    let webui = MockWebUi::builder().fault(slow).start().await;
    let begun = Instant::now();
    get(&webui, "sd-models").await;
    let quick = begun.elapsed();
    let begun = Instant::now();
    get(&webui, "loras").await;
    let slow = begun.elapsed();
    assert!(slow >= Duration::from_millis(300), "{slow:?}");
    assert!(quick < slow, "{quick:?}");
}

#[tokio::test]
async fn a_rate_limit_refuses_what_has_been_rendered() {
    let webui = MockWebUi::builder()
        .profile(Profile::SdNext)
        .fault(Fault::rate_limit())
        .start()
        .await;
    let response = post(&webui, "txt2img", &small("x", 3)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(body["code"], json!(429));
    assert_eq!(webui.gpu().steps_done(), 3);
}

/// Sends a request on a connection that is open.
async fn send(stream: &mut TcpStream, route: &str, body: &str) {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let request = format!(
        "{method} /sdapi/v1/{route} HTTP/1.1\r\nhost: mock\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("writes");
}

/// Reads until this text has come. False when the connection ends before.
async fn read_until(stream: &mut TcpStream, text: &str) -> bool {
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(text) {
        if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_render_right_after_an_answer_loses_its_connection_at_the_keep_alive_limit_of_that_answer() {
    let limit = Duration::from_millis(300);
    for (quiet, kept) in [(Duration::ZERO, false), (Duration::from_millis(120), true)] {
        let webui = MockWebUi::builder()
            .fault(Fault::keep_alive_timer())
            .keep_alive(limit)
            .step_time(Duration::from_millis(100))
            .start()
            .await;
        let mut stream = TcpStream::connect(webui.address()).await.expect("connects");
        send(&mut stream, "loras", "").await;
        assert!(read_until(&mut stream, "[]").await);
        tokio::time::sleep(quiet).await;
        send(&mut stream, "txt2img", &small("x", 6).to_string()).await;
        assert_eq!(read_until(&mut stream, "\"images\"").await, kept, "{quiet:?}");
        webui.gpu().idle().await;
        assert_eq!(webui.gpu().steps_done(), 6, "the render goes on");
    }
}

#[tokio::test]
async fn a_server_that_is_never_ready_refuses_connections() {
    let webui = MockWebUi::builder().fault(Fault::never_ready()).start().await;
    let refused = TcpStream::connect(webui.address()).await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_server_without_its_model_lists_models_and_does_not_render() {
    let webui = MockWebUi::builder().fault(Fault::up_but_no_model()).start().await;
    assert!(get(&webui, "sd-models").await.is_array());
    let job = start(&webui, &small("x", 1));
    webui.gpu().begun(1).await;
    assert_eq!(get(&webui, "progress").await["progress"], json!(0.01));
    webui.set_phase(Phase::Ready).await;
    assert!(job.await.expect("answered")["images"].is_array());
}
