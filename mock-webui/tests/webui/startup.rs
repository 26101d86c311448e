//! Start-up phases, modes, prefix, credentials, the program itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use mock_webui::{MockWebUi, Phase};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{get, post, render, small, start};

#[tokio::test]
async fn a_start_goes_from_refusing_over_loading_to_ready() {
    let webui = MockWebUi::builder()
        .opens_after(Duration::from_millis(400))
        .model_loads_in(Duration::from_millis(100))
        .start()
        .await;
    assert_eq!(webui.phase(), Phase::Refusing);
    let url = format!("{}/sdapi/v1/sd-models", webui.url());
    let mut refusals = 0;
    while let Err(error) = crate::support::fetch(&url).await {
        assert!(error.is_connect(), "{error:?}");
        refusals += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(refusals > 0);
    render(&webui, &small("x", 1)).await; // waits for the model
    assert_eq!(webui.phase(), Phase::Ready);
}

#[tokio::test]
async fn with_the_web_page_the_routes_come_later_than_the_port() {
    let webui = MockWebUi::builder()
        .web_page(true)
        .phase(Phase::PageOnly)
        .start()
        .await;
    let ping = format!("{}/internal/ping", webui.url());
    assert_eq!(
        crate::support::fetch(&ping)
            .await
            .expect("answered")
            .text()
            .await
            .expect("a body"),
        "{}"
    );
    assert_eq!(get(&webui, "sd-models").await, json!({ "detail": "Not Found" }));
    webui.set_phase(Phase::Ready).await;
    assert!(get(&webui, "sd-models").await.is_array());
    let page = crate::support::fetch(format!("{}/", webui.url()))
        .await
        .expect("answered");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
}

#[tokio::test]
async fn the_pages_own_progress_knows_tasks_by_their_id() {
    let webui = MockWebUi::builder().web_page(true).manual_clock().start().await;
    let mut request = small("x", 10);
    request["force_task_id"] = json!("task(mine)");
    let running = start(&webui, &request);
    webui.gpu().rendering().await;
    request["force_task_id"] = json!("task(other)");
    let waiting = start(&webui, &request);
    webui.gpu().queued(2).await;
    webui.gpu().advance(4).await;
    let ask = async |id: &str| -> Value {
        let url = format!("{}/internal/progress", webui.url());
        let body = json!({ "id_task": id });
        crate::support::client()
            .post(url)
            .json(&body)
            .send()
            .await
            .expect("answered")
            .json()
            .await
            .expect("JSON")
    };
    let mine = ask("task(mine)").await;
    assert_eq!((&mine["active"], &mine["progress"]), (&json!(true), &json!(0.4)));
    let other = ask("task(other)").await;
    assert_eq!(
        (&other["queued"], &other["textinfo"]),
        (&json!(true), &json!("In queue: 1/1"))
    );
    assert_eq!(ask("task(unknown)").await["textinfo"], json!("Waiting..."));
    webui.gpu().advance(16).await;
    running.await.expect("answered");
    waiting.await.expect("answered");
    assert_eq!(ask("task(mine)").await["completed"], json!(true));
}

#[tokio::test]
async fn a_prefix_is_part_of_every_path() {
    let webui = MockWebUi::builder().prefix("webui").start().await;
    assert!(webui.url().ends_with("/webui"));
    render(&webui, &small("x", 1)).await;
    let bare = webui.url().trim_end_matches("/webui");
    for path in ["/sdapi/v1/sd-models", "/webuisdapi/v1/sd-models"] {
        let response = crate::support::fetch(format!("{bare}{path}"))
            .await
            .expect("answered");
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn malformed_json_is_answered_before_missing_credentials_and_they_before_bad_fields() {
    let webui = MockWebUi::builder().credentials("user", "pass").start().await;
    let url = format!("{}/sdapi/v1/txt2img", webui.url());
    let client = crate::support::client();
    let malformed = client.post(&url).body("{").send().await.expect("answered");
    assert_eq!(malformed.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let bad_field = json!({ "steps": "abc" });
    let refused = client.post(&url).json(&bad_field).send().await.expect("answered");
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(!refused.headers().contains_key("www-authenticate"));
    let known = client
        .post(&url)
        .json(&bad_field)
        .basic_auth("user", Some("pass"))
        .send()
        .await
        .expect("answered");
    assert_eq!(known.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn stop_routes_exist_when_asked_for_and_a_killed_server_is_gone() {
    let webui = MockWebUi::builder().stop_routes(true).start().await;
    assert_eq!(
        post(&webui, "server-restart", &json!({})).await.status(),
        StatusCode::NOT_IMPLEMENTED
    );
    assert_eq!(
        post(&webui, "server-stop", &json!({}))
            .await
            .text()
            .await
            .expect("a body"),
        "Stopping."
    );
    let url = format!("{}/sdapi/v1/server-kill", webui.url());
    assert!(crate::support::client().post(url).send().await.is_err());
    assert_eq!(webui.phase(), Phase::Refusing);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let webui = MockWebUi::builder()
        .keep_alive(Duration::from_millis(200))
        .start()
        .await;
    let mut stream = tokio::net::TcpStream::connect(webui.address())
        .await
        .expect("connects");
    stream
        .write_all(b"GET /sdapi/v1/skip HTTP/1.1\r\nhost: mock\r\n\r\n")
        .await
        .expect("writes");
    let mut bytes = Vec::new();
    let begun = std::time::Instant::now();
    let whole = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes)).await;
    whole.expect("the server ends the connection").expect("reads");
    assert!(
        bytes.starts_with(b"HTTP/1.1 405"),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(200),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn several_servers_have_a_card_each() {
    let fleet = MockWebUi::builder()
        .manual_clock()
        .start_many(2)
        .await
        .expect("free ports");
    let jobs: Vec<_> = fleet.iter().map(|webui| start(webui, &small("x", 2))).collect();
    for webui in &fleet {
        webui.gpu().rendering().await;
    }
    fleet[1].gpu().advance(2).await;
    assert_eq!((fleet[0].gpu().steps_done(), fleet[1].gpu().steps_done()), (0, 2));
    fleet[0].gpu().advance(2).await;
    for job in jobs {
        job.await.expect("answered");
    }
}

#[tokio::test]
async fn forty_threads_let_progress_wait_when_they_are_asked_for() {
    let webui = MockWebUi::builder()
        .manual_clock()
        .worker_threads(2)
        .start()
        .await;
    let first = start(&webui, &small("x", 1));
    let second = start(&webui, &small("x", 1));
    webui.gpu().queued(2).await;
    let url = format!("{}/sdapi/v1/progress", webui.url());
    let waited = tokio::time::timeout(Duration::from_millis(50), crate::support::fetch(&url)).await;
    assert!(
        waited.is_err(),
        "progress was answered although both threads render"
    );
    webui.gpu().advance(2).await;
    first.await.expect("answered");
    second.await.expect("answered");
    assert!(crate::support::fetch(&url).await.is_ok());
}

#[test]
fn the_program_says_where_it_listens_and_ends_with_a_signal() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mock-webui"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--prefix",
            "sd",
            "--ready-after",
            "50ms",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("a line");
    assert!(
        line.starts_with("mock-webui listening on http://127.0.0.1:"),
        "{line}"
    );
    assert!(line.ends_with("/sd\n"), "{line}");
    let address = line
        .trim_end()
        .trim_end_matches("/sd")
        .rsplit('/')
        .next()
        .expect("an address")
        .to_owned();
    std::net::TcpStream::connect(address).expect("the port is open when the line appears");
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill exists");
    assert!(killed.success());
    assert_eq!(child.wait().expect("ends").code(), Some(0));
}

#[tokio::test]
async fn a_model_is_loaded_in_its_time_also_where_the_port_is_open_at_once() {
    let webui = MockWebUi::builder()
        .model_loads_in(Duration::from_millis(50))
        .start()
        .await;
    assert_eq!(webui.phase(), Phase::ModelLoading);
    render(&webui, &small("x", 1)).await;
    assert_eq!(webui.phase(), Phase::Ready);
}
