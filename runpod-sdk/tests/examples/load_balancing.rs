//! The example `load_balancing`, over real sockets and with real signals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::example;

struct Server {
    process: Child,
    address: String,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Server {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(example("load_balancing"))
            .env_clear()
            .envs([("PORT", "0")])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Whoever listens no more must not stop a worker that logs.
                let _ = sender.send(line);
            }
        });
        let mut server = Self {
            process,
            address: String::new(),
            lines,
        };
        let line = server.until("listening for requests on http://");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split([' ', '"'])
            .next()
            .unwrap()
            .clone_into(&mut server.address);
        server.until("ready for requests");
        server
    }

    /// Waits for a line of the log.
    fn until(&self, part: &str) -> String {
        loop {
            let line = self
                .lines
                .recv()
                .unwrap_or_else(|_| panic!("it ended without: {part}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Sends a request and leaves the connection open.
    fn send(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    }

    /// The same with a form that the answer should have.
    fn send_accepting(&self, accept: &str, body: &str) -> TcpStream {
        self.send(&format!("POST / HTTP/1.1\r\nAccept: {accept}\r\nX-Rest:"), body)
    }

    fn ask(&self, head: &str, body: &str) -> (u16, String) {
        read(self.send(head, body))
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, signal).unwrap();
    }

    fn exit_code(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The status of an answer, and what comes after its head.
fn read(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn value(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn a_start_removes_what_a_dead_worker_left_and_says_where_its_time_went() {
    let scratch = tempfile::tempdir().unwrap();
    let left = scratch.path().join("runpod-scratch-0dead");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("half a video"), "x").unwrap();
    std::fs::write(scratch.path().join("runpod-scratch-0dead.lock"), "").unwrap();
    let server = Server::start(&[("RUNPOD_WORKER_SCRATCH", scratch.path().to_str().unwrap())]);
    let mut lines = [server.until(""), server.until("")];
    // The one on the handlers' threads may come first.
    lines.sort_by_key(|line| line.contains("removed what a dead worker left"));
    let phases: Vec<&str> = lines[0]
        .split_once("started: ")
        .unwrap()
        .1
        .split(' ')
        .map(|phase| phase.split_once("=+").unwrap().0)
        .collect();
    assert_eq!(
        phases,
        ["tls", "config", "listening", "fitness", "state", "ready"]
    );
    assert!(lines[1].contains("runpod-scratch-0dead"), "{lines:?}");
    assert!(!left.exists());
}

#[test]
fn a_request_gets_its_output_in_the_form_it_asks_for() {
    let server = Server::start(&[]);
    let (status, body) = server.ask("POST /", r#"{"text": "hi"}"#);
    assert_eq!((status, value(&body)), (200, json!(["H", "I"])));
    let (status, body) = server.ask("POST /runsync", r#"{"input": {"text": "hi"}}"#);
    let answer = value(&body);
    assert_eq!(
        (status, &answer["status"], &answer["output"]),
        (200, &json!("COMPLETED"), &json!(["H", "I"]))
    );

    let events = server.send_accepting("text/event-stream", r#"{"text": "hi!"}"#);
    let (status, body) = read(events);
    assert_eq!(status, 200);
    assert!(body.contains("data: \"H\"\n\n"), "{body}");
    assert!(
        body.contains("event: error\ndata: {") && body.contains("no shouting"),
        "{body}"
    );
    let (_, body) = read(server.send_accepting("application/x-ndjson", r#"{"text": "hi"}"#));
    assert!(
        body.contains("{\"output\": \"H\"}\n") && body.contains("{\"output\": \"I\"}\n"),
        "{body}"
    );
    assert_eq!(server.ask("GET /ping", "").0, 200);
}

#[test]
fn bad_requests_and_failures_have_their_status() {
    let server = Server::start(&[("RUNPOD_WORKER_HTTP_BODY_LIMIT", "1000")]);
    let (status, body) = server.ask("POST /", r#"{"text": "#);
    assert_eq!(
        (status, &value(&body)["error"]["code"]),
        (400, &json!("INVALID_INPUT"))
    );
    let (status, body) = server.ask("POST /runsync", r#"{"inputs": {}}"#);
    assert_eq!(
        (status, &value(&body)["error"]["details"]["path"]),
        (422, &json!("input"))
    );
    let (status, body) = server.ask("POST /", r#"{"text": 7}"#);
    assert_eq!(
        (status, &value(&body)["error"]["details"]["path"]),
        (422, &json!("text"))
    );
    let (status, body) = server.ask("POST /", r#"{"text": "a!"}"#);
    assert_eq!((status, &value(&body)["detail"]), (422, &json!("no shouting")));
    let (status, body) = server.ask("POST /runsync", r#"{"input": {"text": "!"}}"#);
    assert_eq!((status, &value(&body)["status"]), (200, &json!("FAILED")));
    assert_eq!(server.ask("POST /nowhere", "{}").0, 404);
    assert_eq!(server.ask("GET /", "").0, 405);
    let large = json!({ "text": "x".repeat(2000) }).to_string();
    assert_eq!(server.ask("POST /", &large).0, 413);
}

#[test]
fn a_client_that_hangs_up_cancels_its_job() {
    let server = Server::start(&[("RUNPOD_WORKER_CANCEL_GRACE", "1ms")]);
    let stream = server.send("POST /", r#"{"text": "abc", "pause_ms": 600000}"#);
    server.until("Started.");
    drop(stream);
    server.until("Job stopped.");
    assert_eq!(server.ask("POST /", r#"{"text": "a"}"#).0, 200);
}

#[test]
fn more_requests_than_there_is_room_for_are_sent_elsewhere() {
    let server = Server::start(&[
        ("RUNPOD_WORKER_CONCURRENCY", "2"),
        ("RUNPOD_WORKER_HTTP_QUEUE", "0"),
    ]);
    let slow = r#"{"text": "a", "pause_ms": 600000}"#;
    let first = server.send("POST /", slow);
    server.until("Started.");
    let second = server.send("POST /", slow);
    server.until("Started.");
    let (status, body) = server.ask("POST /", r#"{"text": "a"}"#);
    assert_eq!(
        (status, &value(&body)["error"]["code"]),
        (503, &json!("WORKER_BUSY"))
    );
    drop((first, second));
}

#[test]
fn sigterm_lets_the_running_request_end_and_refuses_the_next() {
    let server = Server::start(&[]);
    let running = server.send("POST /", r#"{"text": "abcdefghij", "pause_ms": 100}"#);
    server.until("Started.");
    server.signal(rustix::process::Signal::TERM);
    server.until("Shutting down.");
    server.until("draining");
    assert_eq!(server.ask("GET /ping", "").0, 503);
    assert_eq!(server.ask("POST /", r#"{"text": "a"}"#).0, 503);
    let (status, body) = read(running);
    assert_eq!((status, value(&body).as_array().unwrap().len()), (200, 10));
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_realtime_worker_answers_as_a_result_is_posted() {
    let server = Server::start(&[
        ("RUNPOD_ENDPOINT_ID", "ep1"),
        ("RUNPOD_REALTIME_PORT", &free_port()),
    ]);
    let (status, body) = server.ask("POST /ep1/realtime", r#"{"id": "r1", "input": {"text": "hi"}}"#);
    assert_eq!((status, value(&body)), (200, json!({ "output": ["H", "I"] })));
    let (status, body) = server.ask("POST /ep1/realtime", r#"{"id": "r2", "input": {"text": "!"}}"#);
    let error: Value = serde_json::from_str(value(&body)["error"].as_str().unwrap()).unwrap();
    assert_eq!((status, &error["error_message"]), (200, &json!("no shouting")));
    assert_eq!(server.ask("POST /ep1/realtime", r#"{"id": "r3"}"#).0, 422);
}

/// A realtime port of 0 means no realtime server, so a real one is needed.
fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}
