//! Every example runs by the command that it names, and says what it should.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests, too")]

#[cfg(all(feature = "local-server", feature = "client"))]
mod dev_server;
#[cfg(all(
    feature = "local-server",
    feature = "download",
    feature = "http-modes",
    feature = "schema",
    feature = "upload"
))]
mod documented;
#[cfg(feature = "local-server")]
mod full_pipe;
#[cfg(feature = "local-server")]
mod journal;
#[cfg(feature = "http-modes")]
mod load_balancing;
mod local_test;
mod python_names;
#[cfg(feature = "schema")]
mod router;

#[cfg(any(feature = "download", feature = "upload"))]
mod storage;
mod unfit;
#[cfg(feature = "http-modes")]
mod web_program;

use std::path::PathBuf;
use std::process::Command;

/// Cargo builds the examples beside the tests.
fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(name)
}

/// What an example prints for one input: its log without what depends on time, its chunks and its
/// result.
fn run(name: &str, input: &str) -> String {
    run_with(name, input, &[])
}

/// The same with these variables in its environment.
fn run_with(name: &str, input: &str, environment: &[(&str, &str)]) -> String {
    // What another test's worker left behind is none of this one's business.
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(example(name))
        .args(["--test_input", input])
        .env_clear()
        .env("RUNPOD_WORKER_SCRATCH", scratch.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("example {name}: {error}"));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| {
            let of_time = ["job timeline:", "draining:", "Job progress:"];
            !of_time.iter().any(|words| line.contains(words))
        })
        .collect();
    format!("{}\nexit {}", lines.join("\n"), output.status.code().unwrap())
}

/// Leaves a scratch directory as a worker does that is killed.
#[cfg(all(feature = "local-server", feature = "client"))]
fn leave_scratch(base: &std::path::Path) -> PathBuf {
    let left = base.join("runpod-scratch-0");
    std::fs::create_dir_all(left.join("1")).unwrap();
    std::fs::write(left.join("1/half a video"), "x").unwrap();
    std::fs::write(base.join("runpod-scratch-0.lock"), "").unwrap();
    left
}

macro_rules! example_runs {
    ($test:ident, $name:literal, $input:literal) => {
        #[test]
        fn $test() {
            insta::assert_snapshot!(run($name, $input));
        }
    };
}

example_runs!(hello_greets, "hello", r#"{"input": {"name": "World"}}"#);
example_runs!(hello_names_the_bad_field, "hello", r#"{"input": {"name": 7}}"#);
example_runs!(progress_does_its_steps, "progress", r#"{"input": {"steps": 5}}"#);
example_runs!(
    typed_errors_tell_what_to_do,
    "typed_errors",
    r#"{"input": {"colour": "octarine"}}"#
);
example_runs!(
    typed_errors_tell_who_is_at_fault,
    "typed_errors",
    r#"{"input": {"colour": "blue"}}"#
);
example_runs!(
    token_stream_prints_its_chunks,
    "token_stream",
    r#"{"input": {"prompt": "one two three"}}"#
);
example_runs!(
    blocking_finds_its_prime,
    "blocking",
    r#"{"input": {"up_to": 1000}}"#
);
example_runs!(
    stateful_model_shares_its_model,
    "stateful_model",
    r#"{"input": "a cat"}"#
);
example_runs!(observed_tells_what_happens, "observed", r#"{"input": 21}"#);
example_runs!(
    adaptive_concurrency_runs_one_job_as_any_other,
    "adaptive_concurrency",
    r#"{"input": 20}"#
);
example_runs!(
    journal_is_for_deployed_workers,
    "journal",
    r#"{"input": {"pages": 1}}"#
);
example_runs!(fitness_is_not_checked_here, "fitness", r#"{"input": 21}"#);

#[cfg(not(feature = "http-modes"))]
#[test]
fn a_mode_whose_feature_is_missing_exits_with_2_and_names_the_feature() {
    for variable in [
        ("RUNPOD_REALTIME_PORT", "7000"),
        ("RUNPOD_WORKER_MODE", "load-balancing"),
    ] {
        let output = Command::new(example("hello"))
            .env_clear()
            .envs([variable])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let problem = String::from_utf8(output.stderr).unwrap();
        assert!(problem.contains("feature `http-modes`"), "{problem}");
    }
}

#[test]
fn an_error_carries_a_backtrace_where_one_is_asked_for() {
    for (asked, carried) in [("1", true), ("0", false)] {
        let asked = [("RUST_BACKTRACE", asked)];
        let text = run_with("typed_errors", r#"{"input": {"colour": "blue"}}"#, &asked);
        assert!(text.contains("the paint is out"), "{text}");
        assert_eq!(text.contains("backtrace:"), carried, "{text}");
    }
}

/// The id of the job and its batch stand on the lines of the handler and of hooks, too.
#[test]
fn observed_logs_a_batchs_job_in_the_platforms_form() {
    insta::assert_snapshot!(run_with(
        "observed",
        r#"{"id": "j-1", "batchId": "b-1", "input": 21}"#,
        &[("RUNPOD_ENDPOINT_ID", "endpoint")],
    ));
}
