//! `sd-worker doctor` finds what is wrong and says what mends it.

use mock_webui::{MockWebUi, Profile};
use serde_json::Value;

use crate::support::{program, soon};

/// What the doctor prints, without what differs from machine to machine, and its exit code.
async fn doctor(url: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let output = program()
        .arg("doctor")
        .args(["--webui-url", url])
        .args(arguments)
        .output();
    let output = soon(output).await.unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

fn redacted() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (pattern, replacement) in [
        (r"127\.0\.0\.1:\d+", "<webui>"),
        (r"[\d.]+ GiB free", "<free> GiB free"),
        (
            r"(ok  |warn)  (the folder for temporary files.*)(\n {8}.*)?",
            "<ok>  $2",
        ),
        (
            r"(ok  |warn)  (at most \d+|any number of) open files(\n {8}.*)?",
            "<ok>  <n> open files",
        ),
        (r"GPU\n(.*\n)+?\n", "GPU\n  <as the machine has them>\n\n"),
        (r"\d+ core\(s\)", "<n> core(s)"),
        (
            r"\d+ in order, \d+ to know, \d+ to look at",
            "<n> in order, <n> to know, <n> to look at",
        ),
        (
            r"error trying to connect: .*|tcp connect error.*|Connection refused.*",
            "<refused>",
        ),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings
}

#[tokio::test]
async fn a_webui_that_works_is_in_order() {
    let webui = MockWebUi::start().await;
    let (text, code) = doctor(webui.url(), &[]).await;
    redacted().bind(|| insta::assert_snapshot!(text));
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_webui_that_is_not_there_is_a_failure_with_its_remedy() {
    // Nothing listens on a port that has just been given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (text, code) = doctor(&format!("http://127.0.0.1:{port}"), &[]).await;
    assert!(text.contains("FAIL  the WebUI at http://127.0.0.1"), "{text}");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn the_version_is_told_by_what_it_knows() {
    for (profile, told) in [
        (Profile::V1_8, "1.8 or earlier"),
        (Profile::V1_9_3, "version 1.9"),
        (Profile::V1_10_1, "1.10 or later"),
        (Profile::Forge, "Forge"),
    ] {
        let webui = MockWebUi::builder().profile(profile).start().await;
        let (text, _) = doctor(webui.url(), &[]).await;
        assert!(text.contains(told), "{text}");
    }
}

#[tokio::test]
async fn a_program_reads_the_findings_as_json() {
    let webui = MockWebUi::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), "<html>").unwrap();
    let models = folder.path().to_str().unwrap();
    let (text, code) = doctor(webui.url(), &["--json", "--models-dir", models]).await;
    let report: Value = serde_json::from_str(&text).unwrap();
    let sections = report["sections"].as_array().unwrap();
    let models = sections
        .iter()
        .find(|section| section["title"] == "Models")
        .unwrap();
    let broken = &models["findings"][1];
    assert_eq!(broken["verdict"], "failure");
    assert!(
        broken["what"].as_str().unwrap().contains("it is a web page"),
        "{broken}"
    );
    assert!(broken["fix"].is_string());
    assert_eq!(code, Some(1));
}
