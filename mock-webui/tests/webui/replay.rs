//! The recorded answers of the real server, and the contract suite, against the mock.
//!
//! Every recording is sent again to a mock set up like the recorded server. Status, headers, keys and their
//! order, texts, and the number and size of pictures must agree.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mock_webui::contract::{self, ContractOptions, Suite};
use mock_webui::{ClearedBy, Fault, MockWebUi, MockWebUiBuilder, Model, Profile};
use serde_json::{Value, json};

use crate::support::{get, post, read_png, small, start};

const DIGEST: &str = "72897b720f8a52f8163a25a51949824873d787797d033a8efdb064d45302118c";

fn recordings(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/webui")
        .join(folder)
}

fn tiny() -> Model {
    Model::new("tiny-random").config()
}

async fn replay(
    folder: &str,
    builder: MockWebUiBuilder,
    wanted: impl Fn(&str) -> bool,
    options: &ContractOptions,
) {
    let webui = builder.start().await;
    let suite = Suite::recorded(recordings(folder)).expect("the recordings are part of the repository");
    let suite = suite.only(|case| wanted(&case.name));
    assert!(!suite.cases().is_empty(), "no recordings in {folder}");
    let report = contract::run(webui.url(), &suite, options)
        .await
        .expect("the mock answers");
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn the_recordings_of_1_10_1_are_answered_alike() {
    let builder = MockWebUi::builder().models([tiny().sha256(DIGEST)]);
    // The server had rendered before the recording of its progress began.
    replay(
        "v1.10.1",
        builder,
        |name| name != "get-progress",
        &ContractOptions::default(),
    )
    .await;
}

#[tokio::test]
async fn the_recordings_of_1_9_3_are_answered_alike() {
    let builder = MockWebUi::builder().profile(Profile::V1_9_3).models([tiny()]);
    replay("v1.9.3", builder, |_| true, &ContractOptions::default()).await;
}

#[tokio::test]
async fn the_recordings_of_forge_are_answered_alike() {
    replay(
        "forge",
        MockWebUi::recorded(Profile::Forge),
        |_| true,
        &ContractOptions::default(),
    )
    .await;
}

#[tokio::test]
async fn the_recordings_of_sd_next_are_answered_alike() {
    // The memory is that of the recorded machine.
    let wanted = |name: &str| name != "get-memory";
    replay(
        "sdnext",
        MockWebUi::recorded(Profile::SdNext),
        wanted,
        &ContractOptions::default(),
    )
    .await;
}

#[tokio::test]
async fn the_recordings_with_credentials_are_answered_alike() {
    let builder = || MockWebUi::builder().models([tiny()]).credentials("user", "pass");
    // The recording leaves out the right credentials, but not that they were sent.
    let sent = |name: &str| name == "auth-right";
    let known = ContractOptions::default().credentials("user", "pass");
    replay("v1.10.1/auth", builder(), sent, &known).await;
    replay(
        "v1.10.1/auth",
        builder(),
        |name| !sent(name),
        &ContractOptions::default(),
    )
    .await;
}

#[tokio::test]
async fn the_recordings_without_a_checkpoint_are_answered_alike() {
    replay(
        "v1.10.1/no-model",
        MockWebUi::builder().models([]),
        |_| true,
        &ContractOptions::default(),
    )
    .await;
}

#[tokio::test]
async fn the_recorded_exceptions_are_answered_alike() {
    for (folder, file, fault) in [
        ("v1.10.1", "fault-boom", Fault::exception("RuntimeError", "boom")),
        ("v1.10.1", "fault-cuda-oom", Fault::out_of_memory(ClearedBy::Once)),
        ("v1.9.3", "fault-cuda-oom", Fault::out_of_memory(ClearedBy::Once)),
    ] {
        let text =
            std::fs::read_to_string(recordings(folder).join(file).with_extension("json")).expect("a file");
        let recorded: Value = serde_json::from_str(&text).expect("a recording is JSON");
        let webui = MockWebUi::builder().fault(fault).start().await;
        let response = post(&webui, "txt2img", &small("x", 2)).await;
        assert_eq!(response.status().as_u16(), recorded["response"]["status"]);
        assert!(!response.headers().contains_key("x-process-time"));
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(body, recorded["response"]["json"], "{folder}/{file}");
    }
}

/// A picture in words: its format and size.
fn described(picture: &Value) -> Value {
    let Some(text) = picture.as_str() else {
        return Value::Null;
    };
    if let Some(recorded) = text.strip_prefix("<base64 ") {
        return json!(recorded.split(',').next());
    }
    let (width, height) = read_png(&STANDARD.decode(text).expect("base64")).size;
    json!(format!("png {width}x{height}"))
}

#[tokio::test]
async fn progress_while_a_render_runs_is_as_recorded() {
    let file = recordings("v1.10.1").join("progress-mid-run.json");
    let recorded: Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("a file")).expect("a recording is JSON");
    let webui = MockWebUi::builder().manual_clock().start().await;
    let job = start(&webui, &recorded["request"]["json"]);
    webui.gpu().rendering().await;
    let mut done = 0;
    let looks = recorded["timeline"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|look| &look["json"]);
    let mut compared = 0;
    for look in looks.filter(|look| look["state"]["job"] == "scripts_txt2img") {
        // The step and the share were read at two moments; the share tells which step it was computed from.
        let share = look["progress"].as_f64().expect("a number") - 0.01;
        let step = (1..40_u32)
            .find(|step| (f64::from(*step) / 40.0 - share).abs() < 1e-9)
            .expect("a step");
        done += webui.gpu().advance(step - done).await;
        let mut seen = get(&webui, "progress").await;
        let mut expected = look.clone();
        for value in [&mut seen, &mut expected] {
            value["eta_relative"] = json!(value["eta_relative"].is_f64());
            value["state"]["job_timestamp"] = json!(value["state"]["job_timestamp"].as_str().map(str::len));
            value["state"]["sampling_step"] = json!(step);
            value["current_image"] = described(&value["current_image"]);
        }
        assert_eq!(seen.to_string(), expected.to_string());
        compared += 1;
    }
    assert!(compared >= 4, "{compared} looks");
    webui.gpu().advance(40 - done).await;
    job.await.expect("answered");
}

#[tokio::test]
async fn the_mock_keeps_the_contract() {
    let webui = MockWebUi::start().await;
    let suite = Suite::builtin();
    let report = contract::run(webui.url(), &suite, &ContractOptions::default())
        .await
        .expect("the mock answers");
    assert!(report.passed(), "{report}");
    assert!(suite.cases().len() > 100, "{} cases", suite.cases().len());
}

#[tokio::test]
async fn another_version_breaks_the_contract_where_it_differs() {
    let webui = MockWebUi::builder().profile(Profile::V1_9_3).start().await;
    let report = contract::run(webui.url(), &Suite::builtin(), &ContractOptions::default())
        .await
        .expect("answers");
    let different: Vec<&str> = report.different().map(|outcome| outcome.case.as_str()).collect();
    assert!(different.contains(&"txt2img-example-event"), "{different:?}");
    assert!(!different.contains(&"wrong-type-steps"), "{different:?}");
    let page = report.to_markdown();
    assert!(
        page.contains("## txt2img-example-event") && page.contains("| `status` | `200` | `404` |"),
        "{page}"
    );
    assert_eq!(
        report.to_json()["outcomes"].as_array().map(Vec::len),
        Some(report.outcomes.len())
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_with_a_remedy() {
    let error = contract::run(
        "http://127.0.0.1:1",
        &Suite::builtin(),
        &ContractOptions::default(),
    )
    .await;
    assert!(error.expect_err("nothing listens").to_string().contains("--api"));
    let error = contract::run("127.0.0.1", &Suite::builtin(), &ContractOptions::default()).await;
    assert!(error.expect_err("no URL").to_string().contains("http://"));
}
