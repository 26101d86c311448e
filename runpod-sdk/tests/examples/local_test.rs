//! A worker without a platform: what it is asked to do, what it prints, and how it exits.

use std::path::Path;
use std::process::{Command, Output};

use super::example;

/// Runs an example in `directory`, without any variable but these.
fn run_in(directory: &Path, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(example(name))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("RUNPOD_WORKER_SCRATCH", directory)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn hello(arguments: &[&str]) -> Output {
    run_in(tempfile::tempdir().unwrap().path(), "hello", arguments, &[])
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const GOOD: &str = r#"{"input": {"name": "World"}}"#;

#[test]
fn a_job_in_a_file_is_run() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("test_input.json"), GOOD).unwrap();
    let output = run_in(here.path(), "hello", &[], &[]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in [
        "Job local_test completed successfully.",
        "Job result: {\"output\": \"Hello, World!\"}",
        "Local testing complete, exiting.",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let output = run_in(
        here.path(),
        "hello",
        &["--test_input", r#"{"input": {"name": "flag"}}"#],
        &[],
    );
    assert!(
        stdout(&output).contains("Hello, flag!"),
        "the flag comes before the file"
    );
}

#[test]
fn started_with_nothing_to_do_it_says_so_in_four_lines_and_exits_with_1() {
    let output = hello(&[]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        (lines[0], lines.len()),
        ("test_input.json not found, exiting.", 4),
        "{text}"
    );
}

#[test]
fn what_is_no_job_exits_with_1_and_says_why() {
    for (input, reason) in [
        ("{}", "the object has no \"input\""),
        (r#"{"input": null}"#, "the object has no \"input\""),
        (r#"{"input": "#, "not a JSON object: EOF"),
        ("7", "not a JSON object"),
    ] {
        let output = hello(&["--test_input", input]);
        assert_eq!(output.status.code(), Some(1), "{input}");
        assert!(stderr(&output).contains(reason), "{input}: {}", stderr(&output));
    }
}

#[test]
fn an_output_that_is_not_the_expected_one_exits_with_1() {
    for (expected, code) in [
        (r#""Hello, World!""#, 0),
        (r#"{"output": "Hello, World!"}"#, 0),
        (r#""Hello, Moon!""#, 1),
        ("Hello", 1),
    ] {
        let output = hello(&["--test_input", GOOD, "--test_output", expected]);
        assert_eq!(output.status.code(), Some(code), "{expected}");
    }
}

#[test]
fn flags_are_known_by_their_whole_names_and_others_are_the_programs_own() {
    let output = hello(&["--test_input", GOOD, "--model", "xl", "--rp_debugger"]);
    assert_eq!(output.status.code(), Some(0));
    let output = hello(&["--test_in", GOOD]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("test_input.json not found"));
}

#[test]
fn the_debugger_adds_nothing_to_an_output_and_the_timeline_is_in_the_log_anyway() {
    for flags in [&["--rp_debugger"][..], &[]] {
        let text = stdout(&hello(&[&["--test_input", GOOD][..], flags].concat()));
        assert!(
            text.contains("Job result: {\"output\": \"Hello, World!\"}"),
            "{text}"
        );
        assert!(text.contains("job timeline: received="), "{text}");
    }
}

#[test]
fn a_flag_whose_value_makes_no_sense_exits_with_2() {
    for (arguments, problem) in [
        (&["--test_input"][..], "--test_input needs a value"),
        (&["--rp_api_port", "high"], "--rp_api_port high is not a port"),
        (
            &["--rp_api_concurrency", "0"],
            "--rp_api_concurrency 0 is not a number from 1",
        ),
        (
            &["--test_input", GOOD, "--rp_log_level", "loud"],
            "unknown log level loud",
        ),
    ] {
        let output = hello(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
    }
}

#[cfg(not(feature = "local-server"))]
#[test]
fn a_flag_whose_feature_is_missing_exits_with_2_and_names_the_feature() {
    let output = hello(&["--rp_serve_api"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("feature `local-server`"));
}

#[test]
fn a_level_is_a_name_or_a_number_and_nothing_is_logged_at_notset() {
    let level = |flag: &[&str], variables: &[(&str, &str)]| {
        let here = tempfile::tempdir().unwrap();
        let arguments = [&["--test_input", GOOD][..], flag].concat();
        stdout(&run_in(here.path(), "hello", &arguments, variables))
    };
    let quiet = level(&[], &[("RUNPOD_LOG_LEVEL", "NOTSET")]);
    let lines: Vec<&str> = quiet.lines().skip(1).collect();
    assert_eq!(
        lines,
        [r#"Job result: {"output": "Hello, World!"}"#],
        "and the banner"
    );
    let warn = level(&[], &[("RUNPOD_LOG_LEVEL", "4")]);
    assert!(!warn.contains("INFO "), "{warn}");
    let info = level(&[], &[]);
    assert!(
        info.contains("INFO   | local_test | Started.") && !info.contains("DEBUG  |"),
        "{info}"
    );
    let flag = level(&["--rp_log_level", "debug"], &[("RUNPOD_DEBUG_LEVEL", "ERROR")]);
    assert!(
        flag.contains("INFO   | Log level set to DEBUG"),
        "the flag wins: {flag}"
    );
}
