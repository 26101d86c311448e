//! What a person sees who starts the program by hand.

use crate::support::{EXAMPLE, Stage, program};

async fn output(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = program()
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn help_teaches() {
    let (code, text, _) = output(&["--help"], &[]).await;
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn init_writes_the_files_of_an_image_and_says_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let folder_name = folder.path().to_str().unwrap();
    let arguments = ["init", folder_name, "--git", "https://example.com/you/sd-worker"];
    let (code, text, _) = output(&arguments, &[]).await;
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(text.replace(folder_name, "[folder]"));
    assert!(folder.path().join(".runpod/hub.json").is_file());
    let (code, _, error) = output(&arguments, &[]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("is not empty"), "{error}");
}

#[tokio::test]
async fn help_shows_no_value_of_the_environment() {
    let (_, text, _) = output(&["--help"], &[("SD_WORKER_WEBUI_AUTH", "anna:hunter2")]).await;
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_bad_value_ends_with_code_2_and_names_where_it_came_from() {
    for (arguments, variables, expected) in [
        (
            &["--retries", "many"][..],
            &[][..],
            "error: --retries: bad value 'many': invalid digit found in string",
        ),
        (
            &[],
            &[("SD_WORKER_READY_TIMEOUT", "10 parsecs")],
            "error: SD_WORKER_READY_TIMEOUT (the option --ready-timeout): bad value '10 parsecs': \
             write a time such as 200ms, 90s or 15m",
        ),
        (
            &[],
            &[("SD_WORKER_WEBUI_AUTH", "hunter2")],
            "error: SD_WORKER_WEBUI_AUTH (the option --webui-auth): bad value: write USER:PASSWORD",
        ),
        (
            &[],
            &[("SD_WORKER_STREAM", "maybe")],
            "error: SD_WORKER_STREAM (the option --stream): bad value 'maybe': write true or false",
        ),
        (
            &[],
            &[("SD_WORKER_OUTPUT", "bucket")],
            "error: SD_WORKER_OUTPUT (the option --output): bad value 'bucket': write one of inline, upload, auto",
        ),
        (&["--webui"], &[], "error: unexpected argument '--webui' found"),
    ] {
        let (code, _, text) = output(arguments, variables).await;
        assert_eq!(code, Some(2), "{text}");
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn a_blank_variable_counts_as_unset() {
    let blank = [("SD_WORKER_WEBUI_AUTH", ""), ("SD_WORKER_RETRIES", " \t")];
    let (code, _, text) = output(&[], &blank).await;
    assert_eq!(code, Some(1), "it comes as far as looking for a job: {text}");
    assert!(text.starts_with("test_input.json not found"), "{text}");
}

#[tokio::test]
async fn a_variable_that_nothing_reads_gets_one_warning_that_names_what_to_use() {
    let webui = mock_webui::MockWebUi::start().await;
    let variables = [
        ("SD_WORKER_RETRY_WAIT", "1s"),
        ("SD_WORKER_LOOK_AFTER", " "),
        ("RUNPOD_WORKER_CONCURENCY", "4"),
    ];
    let stage = Stage::with(webui.url(), &variables).await;
    stage.complete(EXAMPLE).await;
    let line = stage
        .worker
        .says("SD_WORKER_RETRY_WAIT is set, and has no effect")
        .await;
    assert!(line.contains("SD_WORKER_RETRIES"), "{line}");
    let log = stage.worker.log();
    assert!(
        log.contains(
            "RUNPOD_WORKER_CONCURENCY is set, and has no effect: did you mean RUNPOD_WORKER_CONCURRENCY?"
        ),
        "{log}"
    );
    let warnings = log.matches("has no effect").count();
    assert_eq!(warnings, 2, "a blank variable counts as unset: {log}");
}

#[tokio::test]
async fn one_job_runs_without_a_platform() {
    let webui = mock_webui::MockWebUi::start().await;
    let input = r#"{"input": {"prompt": "x", "steps": 1, "width": 64, "height": 64}}"#;
    let (code, text, _) = output(&["--webui-url", webui.url(), "--test_input", input], &[]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("Job result: {\"output\": {\"images\":[\"iVBOR"),
        "{text}"
    );
}
