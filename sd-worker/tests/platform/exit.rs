//! What a worker that cannot start says, and the code it ends with.

use crate::support::program;

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = program().args(arguments).envs(variables.iter().copied()).output();
    let output = crate::support::soon(output).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_bad_environment_is_code_1_and_every_bad_variable_is_named() {
    let (code, text) = run(
        &[],
        &[
            ("RUNPOD_WEBHOOK_GET_JOB", "http://127.0.0.1:9/v2/ep1/job-take/$ID"),
            ("RUNPOD_WEBHOOK_PING", "ftp://x/"),
            ("RUNPOD_WEBHOOK_POST_STREAM", "stream"),
            ("RUNPOD_WORKER_TIMEOUT", "10 parsecs"),
            ("RUNPOD_WORKER_DELIVERY_WINDOW", "long"),
            ("RUNPOD_WORKER_CONCURRENCY", "0"),
        ],
    )
    .await;
    assert_eq!(code, Some(1), "{text}");
    for name in [
        "RUNPOD_WEBHOOK_POST_OUTPUT",
        "RUNPOD_WEBHOOK_PING",
        "RUNPOD_WEBHOOK_POST_STREAM",
        "RUNPOD_WORKER_TIMEOUT",
        "RUNPOD_WORKER_DELIVERY_WINDOW",
        "RUNPOD_WORKER_CONCURRENCY",
    ] {
        assert!(text.contains(name), "{name} is missing in: {text}");
    }
    assert!(
        !text.contains("RUNPOD_WEBHOOK_GET_JOB"),
        "that one is good: {text}"
    );
}

#[tokio::test]
async fn an_unknown_log_level_is_code_2() {
    let (code, text) = run(&["--rp_log_level", "LOUD"], &[]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("error: --rp_log_level: ") && text.contains("LOUD"),
        "{text}"
    );
}

#[tokio::test]
async fn a_flag_whose_value_makes_no_sense_is_code_2() {
    let (code, text) = run(&["--rp_api_port", "high"], &[]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("error: --rp_api_port high is not a port"), "{text}");
}
