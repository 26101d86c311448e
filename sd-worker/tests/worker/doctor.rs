//! `sd-worker doctor` finds what is wrong and says what mends it.

use std::path::Path;

use mock_webui::{MockWebUi, Profile};
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::monitor::driver;
use crate::support::{S3, Uploads, program, soon};

/// What the doctor prints, without what differs from machine to machine, and its exit code.
async fn doctor(url: &str, arguments: &[&str]) -> (String, Option<i32>) {
    doctor_in(url, arguments, &[]).await
}

/// The same, with variables set.
async fn doctor_in(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (String, Option<i32>) {
    let output = program()
        .arg("doctor")
        .args(["--webui-url", url])
        .args(arguments)
        .envs(variables.iter().copied())
        .output();
    let output = soon(output).await.unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

/// The findings of one section, one line each.
fn section(text: &str, title: &str) -> String {
    let text = format!("\n\n{text}");
    let (_, findings) = text.split_once(&format!("\n\n{title}\n")).unwrap();
    findings.split("\n\n").next().unwrap().to_owned()
}

fn redacted() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (pattern, replacement) in [
        (r"127\.0\.0\.1:\d+", "<webui>"),
        (r"probe/[0-9a-f-]{36}", "probe/<random>"),
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
        (Profile::SdNext, "SD.Next"),
        (Profile::Forge, "Forge, from 28 October 2024 or later"),
        (Profile::Forge2024, "Forge, from before 28 October 2024"),
    ] {
        let webui = MockWebUi::builder().profile(profile).start().await;
        let (text, _) = doctor(webui.url(), &[]).await;
        assert!(text.contains(told), "{text}");
        assert_eq!(webui.gpu().renders(), 0, "{profile}: it only looks");
    }
}

#[tokio::test]
async fn what_works_with_each_server_is_told() {
    for (profile, told) in [
        (Profile::V1_10_1, "with it work: plain, img2img, hires"),
        (Profile::Forge, "checks, mending, settings guard"),
        (Profile::SdNext, "partly: mending"),
    ] {
        let webui = MockWebUi::builder().profile(profile).start().await;
        let (text, code) = doctor(webui.url(), &[]).await;
        assert!(text.contains(told), "{text}");
        assert!(!text.contains("not checked:"), "{profile}: {text}");
        assert_eq!(code, Some(0), "{text}");
    }
}

#[tokio::test]
async fn lists_and_settings_that_cannot_be_had_are_told() {
    let webui = MockWebUi::start().await;
    for list in ["loras", "options"] {
        let route = format!("/sdapi/v1/{list}");
        webui.inject(
            mock_webui::Fault::exception("RuntimeError", "boom")
                .on(route)
                .sticky(),
        );
    }
    let (text, _) = doctor(webui.url(), &[]).await;
    assert!(
        text.contains("warn  not checked: loras (the WebUI failed (HTTP 500): RuntimeError: boom)"),
        "{text}"
    );
    assert!(text.contains("its settings can't be read"), "{text}");
}

#[tokio::test]
async fn a_bucket_takes_gives_back_and_deletes_an_object() {
    let webui = MockWebUi::start().await;
    let storage = S3::start(Uploads::Stored).await;
    let (text, code) = doctor_in(webui.url(), &[], &storage.variables()).await;
    assert_eq!(
        section(&text, "Storage"),
        "  ok    the bucket takes, gives back and deletes an object"
    );
    // What was put is looked at, and deleting is a POST to `?delete`.
    assert_eq!(storage.methods(), ["PUT", "HEAD", "GET", "POST"]);
    assert!(!storage.has("probe"), "nothing is left behind");
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_bucket_named_by_the_variables_of_aws_is_used_and_said_to_be() {
    let webui = MockWebUi::start().await;
    let storage = S3::start(Uploads::Stored).await;
    let variables = storage.variables().map(|(name, value)| match name {
        "BUCKET_ENDPOINT_URL" => ("AWS_ENDPOINT_URL", value),
        "BUCKET_ACCESS_KEY_ID" => ("AWS_ACCESS_KEY_ID", value),
        "BUCKET_SECRET_ACCESS_KEY" => ("AWS_SECRET_ACCESS_KEY", value),
        _ => (name, value),
    });
    let (text, code) = doctor_in(webui.url(), &[], &variables).await;
    let section = section(&text, "Storage");
    assert!(
        section.contains("the bucket takes, gives back and deletes an object"),
        "{section}"
    );
    assert!(
        section.contains("the bucket is the one of the AWS_… variables"),
        "{section}"
    );
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_bucket_that_refuses_the_key_is_a_failure_with_its_remedy() {
    let webui = MockWebUi::start().await;
    let storage = S3::start(Uploads::Stored).await;
    let mut variables = storage.variables();
    let secret = variables
        .iter_mut()
        .find(|(name, _)| *name == "BUCKET_SECRET_ACCESS_KEY")
        .unwrap();
    secret.1 = "not-the-secret";
    let (text, code) = doctor_in(webui.url(), &[], &variables).await;
    redacted().bind(|| insta::assert_snapshot!(section(&text, "Storage")));
    assert_eq!(storage.methods(), ["PUT"], "it would be refused again");
    assert!(!text.contains("not-the-secret"), "{text}");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn what_the_platform_has_not_set_is_named_and_its_key_is_not_shown() {
    let webui = MockWebUi::start().await;
    let mut variables = vec![
        (
            "RUNPOD_WEBHOOK_GET_JOB",
            "https://api.runpod.ai/v2/e/job-take/$ID?gpu=A",
        ),
        (
            "RUNPOD_WEBHOOK_POST_OUTPUT",
            "https://api.runpod.ai/v2/e/job-done/$ID?gpu=A",
        ),
        ("RUNPOD_WEBHOOK_PING", "https://api.runpod.ai/v2/e/ping"),
        ("RUNPOD_POD_ID", "pod-1"),
    ];
    let (without_key, code) = doctor_in(webui.url(), &[], &variables).await;
    assert_eq!(code, Some(1), "jobs can't be taken");
    variables.push(("RUNPOD_AI_API_KEY", "rpa_secret"));
    let (with_key, code) = doctor_in(webui.url(), &[], &variables).await;
    assert_eq!(code, Some(0));
    assert!(!with_key.contains("rpa_secret"), "{with_key}");
    let told = [without_key, with_key].map(|text| section(&text, "Platform"));
    insta::assert_snapshot!(told.join("\n\n"));
}

/// A WebUI that says that its folders lie in `root`.
async fn webui_in(root: &Path) -> MockWebUi {
    let webui = MockWebUi::start().await;
    let flags = json!({
        "nowebui": true, "server_name": "127.0.0.1",
        "data_dir": root, "ckpt_dir": root.join("checkpoints"), "ui_settings_file": root.join("config.json"),
    });
    Mock::given(path("/sdapi/v1/cmd-flags"))
        .respond_with(ResponseTemplate::new(200).set_body_json(flags))
        .with_priority(1)
        .mount(webui.stubs())
        .await;
    webui
}

#[tokio::test]
async fn a_settings_file_that_leaks_and_models_that_are_not_listed_are_named_with_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let webui = webui_in(root.path()).await;
    std::fs::write(root.path().join("config.json"), r#"{"samples_format": "png"}"#).unwrap();
    let (here, beside) = (root.path().join("checkpoints"), root.path().join("models"));
    std::fs::create_dir_all(&here).unwrap();
    std::fs::create_dir_all(&beside).unwrap();
    std::fs::write(here.join("new.ckpt"), "PK").unwrap();
    std::fs::write(here.join("dream.safetensors.txt"), "x").unwrap();
    // As large as a checkpoint, and takes no room.
    let large = std::fs::File::create(beside.join("photo.ckpt")).unwrap();
    large.set_len(1 << 30).unwrap();

    let (text, code) = doctor(webui.url(), &[]).await;
    let told = ["WebUI", "Models"]
        .map(|title| section(&text, title))
        .join("\n\n");
    let told = told.replace(root.path().to_str().unwrap(), "[webui]");
    redacted().bind(|| insta::assert_snapshot!(told));
    assert_eq!(code, Some(1), "a broken checkpoint has to go");
}

#[tokio::test]
async fn each_gpu_is_told_with_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path());
    let webui = MockWebUi::start().await;
    let library = ("LD_LIBRARY_PATH", folder.path().to_str().unwrap());
    let (text, _) = doctor_in(webui.url(), &[], &[library]).await;
    assert_eq!(
        section(&text, "GPU"),
        "  ok    Fake GPU, 20.0 of 24.0 GiB free\n  ok    Fake GPU, 8.0 of 16.0 GiB free"
    );
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

#[tokio::test]
async fn the_extension_for_batches_is_looked_for_where_batches_are_asked_for() {
    let without = MockWebUi::start().await;
    let with = MockWebUi::builder().batch_extension(1).start().await;
    let (off, on) = (("SD_WORKER_BATCH_LIMIT", ""), ("SD_WORKER_BATCH_LIMIT", "8"));
    let mut seen = Vec::new();
    for (webui, variable) in [(&without, off), (&without, on), (&with, off), (&with, on)] {
        let (text, _) = doctor_in(webui.url(), &[], &[variable]).await;
        let section = section(&text, "WebUI");
        let about: Vec<&str> = section
            .lines()
            .filter(|line| {
                line.contains("rendered alone") || line.contains("BATCH") || line.contains("one batch")
            })
            .collect();
        seen.push(about.join("\n"));
    }
    insta::assert_snapshot!(seen.join("\n\n"));
}

#[tokio::test]
async fn the_extension_is_installed_by_a_command() {
    let webui = tempfile::tempdir().unwrap();
    let install = async || {
        let output = program().arg("install-extension").arg(webui.path()).output();
        soon(output).await.unwrap()
    };
    let refused = install().await;
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("it has no folder `extensions`"), "{text}");
    std::fs::create_dir(webui.path().join("extensions")).unwrap();
    assert_eq!(install().await.status.code(), Some(0));
    let file = webui
        .path()
        .join("extensions/sd-worker-batch-jobs/scripts/batch_jobs.py");
    assert!(std::fs::read_to_string(file).unwrap().contains("class BatchJobs"));
}
