//! The example `load_balancing`, over real sockets and with real signals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::example;

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Server {
    process: Child,
    pub(crate) address: String,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Server {
    fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_of("load_balancing", variables)
    }

    pub(crate) fn start_of(name: &str, variables: &[(&str, &str)]) -> Self {
        let server = Self::begin_of(name, variables);
        server.until("ready for requests");
        server
    }

    /// The same without waiting for the worker to be ready.
    fn begin(variables: &[(&str, &str)]) -> Self {
        Self::begin_of("load_balancing", variables)
    }

    pub(crate) fn begin_of(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(example(name))
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
        server.address = server.listens("requests");
        server
    }

    /// Where it says that it listens for something.
    pub(crate) fn listens(&self, what: &str) -> String {
        let line = self.until(&format!("listening for {what} on http://"));
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split([' ', '"']).next().unwrap().to_owned()
    }

    /// Waits for a line of the log.
    pub(crate) fn until(&self, part: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|error| panic!("{error}, without: {part}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Sends a request and leaves the connection open.
    fn send(&self, head: &str, body: &str) -> TcpStream {
        send_to(&self.address, head, body)
    }

    /// The same with a form that the answer should have.
    fn send_accepting(&self, accept: &str, body: &str) -> TcpStream {
        self.send(&format!("POST / HTTP/1.1\r\nAccept: {accept}\r\nX-Rest:"), body)
    }

    pub(crate) fn ask(&self, head: &str, body: &str) -> (u16, String) {
        read(self.send(head, body))
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, signal).unwrap();
    }

    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send_to(address: &str, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
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
fn health_checks_say_204_while_the_state_is_loaded_and_then_200_on_both_ports() {
    let place = tempfile::tempdir().unwrap();
    // Whoever reads from it waits for somebody who writes.
    let signs = place.path().join("signs");
    assert!(Command::new("mkfifo").arg(&signs).status().unwrap().success());
    let server = Server::begin(&[
        ("PORT_HEALTH", &free_port()),
        ("REFUSED_SIGNS", signs.to_str().unwrap()),
    ]);
    let health = server.listens("health checks");
    assert_ne!(health, server.address);
    let checked = || [&server.address, &health].map(|address| read(send_to(address, "GET /ping", "")).0);
    assert_eq!(checked(), [204, 204]);
    let (status, body) = server.ask("POST /", r#"{"text": "hi"}"#);
    assert_eq!(
        (status, &value(&body)["error"]["code"]),
        (503, &json!("WORKER_STARTING"))
    );

    // On a thread of its own: it waits for the reader.
    let written = std::thread::spawn(move || std::fs::write(signs, "?"));
    server.until("ready for requests");
    written.join().unwrap().unwrap();
    assert_eq!(checked(), [200, 200]);
    let (status, body) = server.ask("POST /", r#"{"text": "hi!"}"#);
    assert_eq!((status, value(&body)), (200, json!(["H", "I", "!"])));
    assert_eq!(
        server.ask("POST /", r#"{"text": "hi?"}"#).0,
        422,
        "what was loaded counts"
    );
}

#[test]
fn a_line_of_the_log_can_be_read_while_the_worker_goes_on() {
    let mut server = Server::start(&[("RUNPOD_ENDPOINT_ID", "ep1")]);
    let _running = server.send("POST /", r#"{"text": "a", "pause_ms": 600000}"#);
    let line = value(&server.until("Started."));
    let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["requestId", "message", "level"]);
    assert!(
        server.process.try_wait().unwrap().is_none(),
        "it is not its end that wrote the line out"
    );
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
    let server = Server::start(&[]);
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
    // The announced length is enough: nothing of the body is read.
    let mut large = TcpStream::connect(&server.address).unwrap();
    let length = 33 << 20;
    write!(
        large,
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read(large).0, 413);
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
fn a_second_sigterm_answers_what_runs_and_ends_the_worker() {
    let server = Server::start(&[]);
    let whole = server.send("POST /", r#"{"text": "ab", "pause_ms": 600000}"#);
    server.until("Started.");
    let streaming = server.send_accepting("text/event-stream", r#"{"text": "ab", "pause_ms": 600000}"#);
    server.until("Started.");
    server.signal(rustix::process::Signal::TERM);
    server.until("draining");
    server.signal(rustix::process::Signal::TERM);
    for waiting in [whole, streaming] {
        let (status, body) = read(waiting);
        assert_eq!(
            (status, &value(&body)["error"]["code"]),
            (503, &json!("WORKER_STOPPED"))
        );
        assert_eq!(value(&body)["error"]["retryable"], json!(true));
    }
    assert_eq!(server.exit_code(), Some(0), "every request has its answer");
}

#[test]
fn a_pod_makes_the_automatic_checks_before_it_is_ready() {
    let unfit = [
        ("RUNPOD_WORKER_HTTP_HOST", "127.0.0.1"),
        ("RUNPOD_MIN_MEMORY_GB", "1000000"),
    ];
    let server = Server::begin(&[&unfit[..], &[("RUNPOD_POD_ID", "w1")]].concat());
    let line = server.until("Fitness check failed");
    assert!(line.contains("_memory_check | FitnessError: "), "{line}");
    assert_eq!(server.exit_code(), Some(1));

    // A laptop has no duty to be fit.
    Server::start(&unfit);
}

#[test]
fn a_network_check_is_made_only_where_there_is_something_to_reach() {
    let variables = [
        ("RUNPOD_WORKER_AUTOMATIC_CHECKS", "true"),
        ("RUNPOD_MIN_MEMORY_GB", "0"),
        ("RUNPOD_MIN_DISK_PERCENT", "0"),
        // Too short for any network.
        ("RUNPOD_NETWORK_CHECK_TIMEOUT", "0"),
    ];
    let server = Server::begin(&variables);
    let line = server.until("All fitness checks passed. (");
    assert!(line.ends_with("ms)"), "{line}");
    server.until("ready for requests");
    // Bound and never listened to: connections are refused, and no other server gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = socket.local_addr().unwrap().to_string();
    let server = Server::begin(&[&variables[..], &[("RUNPOD_WORKER_NETWORK_TARGETS", &closed)]].concat());
    let line = server.until("Fitness check failed");
    assert!(
        line.contains("_network_check | FitnessError: ") && line.contains(&closed),
        "{line}"
    );
    assert_eq!(server.exit_code(), Some(1));
}

/// Notes the heads of all requests, and answers each with 200.
fn platform() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v2/ep1", listener.local_addr().unwrap());
    let (tell, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((mut connection, _)) = listener.accept() {
            let lines = BufReader::new(&connection).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let _ =
                connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // A network check says nothing.
            if !head.is_empty() && tell.send(head.join("\n")).is_err() {
                return;
            }
        }
    });
    (url, heads)
}

#[test]
fn a_realtime_workers_heartbeat_names_the_requests_that_it_works_on() {
    let (platform, heads) = platform();
    let next = |wanted: &str| loop {
        let head = heads.recv_timeout(PATIENCE).unwrap();
        assert!(
            head.starts_with("GET /v2/ep1/ping/w1?"),
            "no take, no stop poll: {head}"
        );
        assert!(
            head.to_ascii_lowercase().contains("\nauthorization: rpa_key"),
            "{head}"
        );
        if head.contains(wanted) {
            return head;
        }
    };
    let server = Server::start(&[
        ("RUNPOD_ENDPOINT_ID", "ep1"),
        ("RUNPOD_REALTIME_PORT", &free_port()),
        ("RUNPOD_WORKER_HTTP_HOST", "127.0.0.1"),
        ("RUNPOD_WEBHOOK_GET_JOB", &format!("{platform}/job-take/$ID")),
        ("RUNPOD_WEBHOOK_PING", &format!("{platform}/ping/$RUNPOD_POD_ID")),
        ("RUNPOD_PING_INTERVAL", "250"),
        ("RUNPOD_POD_ID", "w1"),
        ("RUNPOD_AI_API_KEY", "rpa_KEY"),
    ]);
    next("/ping/w1?runpod_version=");
    let body = r#"{"id": "r1", "input": {"text": "ab", "pause_ms": 600000}}"#;
    let running = server.send("POST /ep1/realtime", body);
    next("/ping/w1?job_id=r1&runpod_version=");
    server.signal(rustix::process::Signal::TERM);
    server.until("draining");
    next("/ping/w1?job_id=r1&runpod_version=");
    server.signal(rustix::process::Signal::TERM);
    let (_, body) = read(running);
    let error: Value = serde_json::from_str(value(&body)["error"].as_str().unwrap()).unwrap();
    assert_eq!(error["code"], "WORKER_STOPPED");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn an_unfit_realtime_worker_tells_the_platform() {
    let (platform, heads) = platform();
    let server = Server::begin(&[
        ("RUNPOD_REALTIME_PORT", &free_port()),
        ("RUNPOD_WORKER_HTTP_HOST", "127.0.0.1"),
        ("RUNPOD_WEBHOOK_PING", &format!("{platform}/ping/$RUNPOD_POD_ID")),
        ("RUNPOD_POD_ID", "w1"),
        ("RUNPOD_AI_API_KEY", "rpa_KEY"),
        ("RUNPOD_WORKER_AUTOMATIC_CHECKS", "true"),
        ("RUNPOD_MIN_MEMORY_GB", "1000000"),
    ]);
    let head = heads.recv_timeout(PATIENCE).unwrap();
    let start = "GET /v2/ep1/ping/w1?status=unhealthy&check=_memory_check&reason=FitnessError";
    assert!(head.starts_with(start), "the first and only ping: {head}");
    assert_eq!(server.exit_code(), Some(1));
    assert!(heads.try_recv().is_err());
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
