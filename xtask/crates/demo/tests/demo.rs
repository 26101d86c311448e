//! The demo as a person runs it, in real processes.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here is a failed test, in helpers as well"
)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use tempfile::TempDir;

/// Set by `cargo xtask test` where one run builds all programs of the workspace. Without it the demo builds what it starts.
const BUILT: &str = "XTASK_PROGRAMS_ARE_BUILT";

/// A demo whose renders take no time.
fn demo(output: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command
        .arg("--output")
        .arg(output)
        .args(std::env::var_os(BUILT).map(|_| "--built"))
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn run(output: &Path, arguments: &[&str]) -> Output {
    demo(output, arguments).output().unwrap()
}

/// Runs a check on the text with everything replaced that differs from run to run.
fn with_filters(output: &Path, check: impl FnOnce()) {
    let folder = output.display().to_string();
    insta::with_settings!({
        filters => vec![
            (folder.as_str(), "[output]"),
            (r"127\.0\.0\.1:\d{2,5}", "127.0.0.1:[port]"),
            (r"[0-9a-f]{8}-[0-9a-f-]{27}\S*", "[id]"),
            (r"\d+(\.\d+)? kB", "[size]"),
            (r"\d+ probes", "[n] probes"),
            (r"(?m)^(  .{11} (done in|ready after)) .*", "$1 [time]"),
            (r"no connection \(.*\)", "no connection ([cause])"),
            // The column of times, and whether the machine was quick enough to keep the budgets.
            (r"(?m)^(  \d  .{20} .{9}) .{9}   (.*) [✓!?]$", "$1    [time]   $2 [mark]"),
            (r"(?m)^(     [a-z].{29}) .{9}$", "$1    [time]"),
            // How far the job was when it was looked at.
            (r"(?m)^  job +\d+ %.*\n", ""),
        ],
    }, { check() });
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Width and height of a PNG file whose pixels can all be read.
fn png_size(file: &Path) -> (u32, u32) {
    let decoder = png::Decoder::new(BufReader::new(File::open(file).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    (frame.width, frame.height)
}

/// What a demo that failed said before it showed the logs; the logs have to hold `evidence`.
fn complaint(done: &Output, evidence: &str) -> String {
    let stderr = text(&done.stderr);
    let (_, complaint) = stderr.split_once("error: ").unwrap();
    let (complaint, logs) = complaint.split_once("\n\n").unwrap();
    assert!(logs.starts_with("  the last lines of "), "{logs}");
    assert!(logs.contains(evidence), "{logs}");
    complaint.to_owned()
}

/// Fails if a server that the screen names still listens, or the worker did not say goodbye.
fn assert_nothing_runs(screen: &str, output: &Path) {
    let mut servers = 0;
    for after in screen.split("http://").skip(1) {
        let address = after.split([',', '\n']).next().unwrap();
        let address: SocketAddr = address.parse().unwrap();
        assert!(TcpStream::connect(address).is_err(), "{address} still listens");
        servers += 1;
    }
    assert_eq!(servers, 2, "the mock WebUI and the platform:\n{screen}");
    let log = std::fs::read_to_string(output.join("sd-worker.log")).unwrap();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("exiting"), "the worker's last words: {log}");
}

#[test]
fn the_example_event_travels_the_whole_way_and_leaves_a_picture() {
    let folder = TempDir::new().unwrap();
    let done = run(folder.path(), &["--steps", "3", "--step-ms", "0"]);
    assert!(done.status.success(), "{}", text(&done.stderr));

    let screen = text(&done.stdout);
    for step in 1..=8 {
        let row = format!("\n  {step}  ");
        assert!(screen.contains(&row), "step {step} is missing:\n{screen}");
    }
    with_filters(folder.path(), || insta::assert_snapshot!(screen));

    assert_eq!(png_size(&folder.path().join("job-1.png")), (512, 512));
    let result = std::fs::read(folder.path().join("job-1.json")).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    assert_eq!(result["parameters"]["steps"], 3);
}

#[test]
fn nothing_runs_on_after_a_demo() {
    let folder = TempDir::new().unwrap();
    let done = run(folder.path(), &["--steps", "1", "--step-ms", "0", "--jobs", "2"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_nothing_runs(&text(&done.stdout), folder.path());
    assert_eq!(png_size(&folder.path().join("job-2.png")), (512, 512));
}

#[test]
fn ctrl_c_stops_everything_in_the_middle_of_a_render() {
    let folder = TempDir::new().unwrap();
    // A render of more than an hour.
    let mut child = demo(folder.path(), &["--step-ms", "600000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut screen = String::new();
    while !screen.contains("preparing") {
        assert!(
            stdout.read_line(&mut screen).unwrap() > 0,
            "ended early: {screen}"
        );
    }
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    stdout.read_to_string(&mut screen).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_nothing_runs(&screen, folder.path());
}

#[test]
fn a_webui_that_is_not_there_is_named_with_the_workers_last_words() {
    let folder = TempDir::new().unwrap();
    let done = run(
        folder.path(),
        &["--webui", "http://127.0.0.1:1", "--ready-within", "500ms"],
    );
    assert_eq!(done.status.code(), Some(1));
    let complaint = complaint(&done, "| ERROR ");
    with_filters(folder.path(), || insta::assert_snapshot!(complaint));
}

#[test]
fn a_job_that_fails_is_explained_and_fails_the_demo() {
    let folder = TempDir::new().unwrap();
    // The WebUI divides by the number of steps.
    let done = run(folder.path(), &["--steps", "0"]);
    assert_eq!(done.status.code(), Some(1));
    let complaint = complaint(&done, "Captured Handler Exception");
    with_filters(folder.path(), || insta::assert_snapshot!(complaint));
    assert_nothing_runs(&text(&done.stdout), folder.path());
}
