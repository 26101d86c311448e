//! Workers that end before they take a job: without the weights that they check for, or without file descriptors.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

use super::example;

/// Runs the example `fitness` by `shell`, whose first argument it is. Returns what it printed and the first lines of all
/// requests that it made.
fn run(shell: &str) -> (Output, Vec<String>) {
    run_example("fitness", shell)
}

fn run_example(name: &str, shell: &str) -> (Output, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let platform = format!("http://{}/v2/ep", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let mut requests = Vec::new();
        // A connection that says nothing is the end.
        while let Ok((mut connection, _)) = listener.accept() {
            let mut line = String::new();
            BufReader::new(&connection).read_line(&mut line).unwrap();
            if line.is_empty() {
                break;
            }
            requests.push(line);
            connection
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
        }
        requests
    });
    let output = Command::new("sh")
        .args(["-c", shell])
        .arg(example(name))
        .env_clear()
        .envs([
            ("RUNPOD_WEBHOOK_GET_JOB", format!("{platform}/job-take/$ID")),
            ("RUNPOD_WEBHOOK_POST_OUTPUT", format!("{platform}/job-done/$ID")),
            ("RUNPOD_WEBHOOK_PING", format!("{platform}/ping/$RUNPOD_POD_ID")),
            ("RUNPOD_AI_API_KEY", "rpa_KEY".to_owned()),
            ("RUNPOD_POD_ID", "w1".to_owned()),
        ])
        .output()
        .unwrap();
    let address = platform.trim_start_matches("http://").trim_end_matches("/v2/ep");
    drop(std::net::TcpStream::connect(address).unwrap());
    (output, answering.join().unwrap())
}

const REPORT: &str = "GET /v2/ep/ping/w1?status=unhealthy&check=weights&reason=Error%3A+No+such+file+or+directory+%28os+error+2%29&runpod_version=1.12.0 HTTP/1.1\r\n";

#[test]
fn an_unfit_worker_says_so_and_exits_with_code_1() {
    let (output, requests) = run(r#"exec "$0""#);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(requests, [REPORT], "nothing else is asked for");
    let log = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = log.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "INFO   | Running 3 fitness check(s)...",
            "ERROR  | Fitness check failed: weights | Error: No such file or directory (os error 2)",
            "ERROR  | Worker is unhealthy, exiting.",
        ]
    );
}

#[test]
fn it_exits_with_code_1_even_if_nobody_can_read_its_log() {
    let (output, requests) = run(r#"exec "$0" >&- 2>&-"#);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(requests, [REPORT]);
}

#[test]
fn a_worker_with_too_few_file_descriptors_for_its_heartbeat_takes_no_job() {
    for descriptors in [8, 12, 16, 20, 24] {
        let shell = format!(r#"ulimit -n {descriptors} && exec "$0""#);
        let (output, requests) = run_example("hello", &shell);
        let log = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{descriptors}: {log}");
        let taken: Vec<&String> = requests
            .iter()
            .filter(|line| line.contains("/job-take/"))
            .collect();
        assert!(taken.is_empty(), "{descriptors}: {taken:?}");
    }
    let (output, _) = run_example("hello", r#"ulimit -n 24 && exec "$0""#);
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(
        log.contains("file descriptors") && log.contains("ulimit -n"),
        "{log}"
    );
}
