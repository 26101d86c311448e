//! A worker without a platform: what it is asked to do, what it prints, and how it exits.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

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
fn started_with_nothing_to_do_it_says_so_in_a_few_lines_and_exits_with_1() {
    let output = hello(&[]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        (lines[0], lines.len()),
        (
            "test_input.json not found, exiting.",
            if cfg!(feature = "local-server") { 5 } else { 4 }
        ),
        "{text}"
    );
    assert_eq!(
        text.contains("--rp_serve_api"),
        cfg!(feature = "local-server"),
        "{text}"
    );
}

#[test]
fn on_a_plain_pod_it_says_that_a_pod_starts_again_what_exits() {
    let here = tempfile::tempdir().unwrap();
    let output = run_in(here.path(), "hello", &[], &[("RUNPOD_POD_ID", "abc123")]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("This is a plain Pod, which starts again what exits"),
        "{text}"
    );
}

#[test]
fn a_job_is_read_from_a_file_that_the_flag_names() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("job.json"), format!("\u{feff}{GOOD}")).unwrap();
    let tests = r#"{"tests": [{"name": "moon", "input": {"name": "Moon"}}, {"input": 1}]}"#;
    std::fs::write(here.path().join("tests.json"), tests).unwrap();
    std::fs::write(here.path().join("wanted.json"), r#""Hello, Moon!""#).unwrap();
    for (arguments, line) in [
        (&["--test_input", "job.json"][..], "Hello, World!"),
        (
            &["--test_input=tests.json", "--test_output", "wanted.json"],
            "Hello, Moon!",
        ),
        (&["--test_input", "tests.json"], "Running the first of 2 (moon)."),
    ] {
        let output = run_in(here.path(), "hello", arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).contains(line), "{}", stdout(&output));
    }
}

#[test]
fn what_is_misspelt_is_named_though_another_job_runs() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("test_input.json"), GOOD).unwrap();
    let variables = [("RUNPOD_WORKER_CONCURENCY", "4"), ("RUNPOD_WORKER_TIMEOUTS", " ")];
    let output = run_in(here.path(), "hello", &["--test-input", "{}"], &variables);
    let text = stdout(&output);
    assert!(text.contains("Hello, World!"), "{text}");
    let warnings: Vec<&str> = text.lines().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(
        warnings,
        [
            "WARN   | --test-input is left to the program; if the worker's own --test_input was meant, write it like that",
            "WARN   | RUNPOD_WORKER_CONCURENCY is set, and has no effect: did you mean RUNPOD_WORKER_CONCURRENCY?",
        ]
    );
}

#[test]
fn a_bad_input_ends_with_one_plain_line() {
    for (input, line) in [
        (r#"{"input": {}}"#, "name: required, and missing\n"),
        (
            r#"{"input": {"name": 7}}"#,
            "name: expected string, found number 7\n",
        ),
    ] {
        let output = hello(&["--test_input", input]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), line);
    }
}

#[test]
fn chunks_and_progress_are_shown_as_they_come() {
    let here = tempfile::tempdir().unwrap();
    for (name, input, shown) in [
        ("progress", r#"{"input": {"steps": 3}}"#, "Job progress: "),
        (
            "token_stream",
            r#"{"input": {"prompt": "one two"}}"#,
            "Job chunk: ",
        ),
    ] {
        let output = run_in(here.path(), name, &["--test_input", input], &[]);
        let text = stdout(&output);
        let finished = text.find("Finished.").unwrap();
        assert!(text[..finished].contains(shown), "{text}");
    }
}

#[test]
fn what_is_no_job_exits_with_1_and_says_why() {
    for (input, reason) in [
        ("{}", "the object has no \"input\""),
        (r#"{"input": null}"#, "the object has no \"input\""),
        (r#"{"input": "#, "not a JSON object: EOF"),
        ("7", "--test_input 7: neither a JSON object"),
        ("{'input': True}", "single quotes, as Python writes them"),
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
fn a_signal_cancels_the_job_and_ends_the_program_with_the_code_that_shells_know() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let here = tempfile::tempdir().unwrap();
        let mut program = Command::new(example("progress"))
            .args(["--test_input", r#"{"input": {"steps": 1000000}}"#])
            .env_clear()
            .env("RUNPOD_WORKER_SCRATCH", here.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Pid::from_child(&program);
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let begun = lines.find(|line| line.as_ref().unwrap().contains("Started."));
        assert!(begun.is_some());
        kill_process(process, signal).unwrap();

        let (ended, end) = channel();
        std::thread::spawn(move || ended.send(program.wait().unwrap().code()));
        let Ok(ended) = end.recv_timeout(Duration::from_secs(30)) else {
            kill_process(process, Signal::KILL).unwrap();
            panic!("it runs on after {signal:?}");
        };
        assert_eq!(ended, Some(code));
        let said: Vec<String> = lines.map(Result::unwrap).collect();
        let said = said.join("\n");
        assert!(said.contains("Local testing was stopped by SIG"), "{said}");
        assert!(!said.contains("Job result:"), "{said}");
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
