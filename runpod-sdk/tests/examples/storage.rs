//! `url_input` and `s3_output` against servers on loopback.

#[cfg(feature = "upload")]
mod s3;
#[cfg(feature = "download")]
mod url;

use std::process::Command;

use serde_json::Value;

use super::example;

/// Runs an example for one job, and gives its exit code and what it said of the result.
fn run(name: &str, job: &Value, variables: &[(&str, &str)]) -> (i32, Value) {
    let output = Command::new(example(name))
        .args(["--test_input", &job.to_string()])
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let result = text.lines().find_map(|line| line.strip_prefix("Job result: "));
    let result = result.unwrap_or_else(|| panic!("no result: {text}"));
    (
        output.status.code().unwrap(),
        serde_json::from_str(result).unwrap(),
    )
}

/// The code and hint of a failed job.
fn failure(result: &Value) -> Value {
    serde_json::from_str(result["error"].as_str().unwrap()).unwrap()
}
