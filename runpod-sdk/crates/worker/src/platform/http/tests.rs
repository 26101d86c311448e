//! The bytes of requests, and what the worker makes of their answers.

use runpod_protocol::sync::Mutex;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::redirects::{may_follow, may_have};
use super::*;
use crate::job::{JobError, Outcome, WorkerIdentity};
use crate::json::RawJson;
use crate::platform::PostDisposition;

mod answers;

/// The longest time of a test that works; less than any default limit.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request: the connection it came by, counted from 0, and all of its bytes.
#[derive(Debug, Clone)]
struct Seen {
    connection: usize,
    head: String,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// A server that answers its requests, in the order of their arrival, with what it was given, and then
/// with the last of it again. `None` is no answer at all.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(answers: impl IntoIterator<Item = impl Into<Option<String>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (answers, all): (Arc<Vec<_>>, _) = (
            Arc::new(answers.into_iter().map(Into::into).collect()),
            seen.clone(),
        );
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, connection, answers.clone(), all.clone()));
                connection += 1;
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// The platform at this server, for a worker with these limits.
    fn platform(&self, limits: WorkerLimits) -> HttpPlatform {
        platform_at(&format!("http://{}", self.address), limits)
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    answers: Arc<Vec<Option<String>>>,
    all: Arc<Mutex<Vec<Seen>>>,
) -> Option<()> {
    let mut unread = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut unread).await.ok()? == 0 {
                return None;
            }
        };
        let head: Vec<u8> = unread.drain(..end).collect();
        let mut seen = Seen {
            connection,
            head: String::from_utf8(head).unwrap(),
            body: Vec::new(),
        };
        let length = seen
            .header("content-length")
            .map_or(0, |text| text.parse().unwrap());
        while unread.len() < length {
            if stream.read_buf(&mut unread).await.ok()? == 0 {
                return None;
            }
        }
        seen.body = unread.drain(..length).collect();
        let number = {
            let mut all = all.lock();
            all.push(seen);
            all.len() - 1
        };
        match &answers[number.min(answers.len() - 1)] {
            Some(answer) => stream.write_all(answer.as_bytes()).await.ok()?,
            None => std::future::pending().await,
        }
    }
}

fn platform_at(base: &str, limits: WorkerLimits) -> HttpPlatform {
    let environment = [
        (
            "RUNPOD_WEBHOOK_GET_JOB",
            format!("{base}/v2/e/job-take/$ID?gpu=A+1"),
        ),
        (
            "RUNPOD_WEBHOOK_POST_OUTPUT",
            format!("{base}/v2/e/job-done/$RUNPOD_POD_ID/$ID?gpu=A+1"),
        ),
        (
            "RUNPOD_WEBHOOK_POST_STREAM",
            format!("{base}/v2/e/job-stream/$RUNPOD_POD_ID/$ID?gpu=A+1"),
        ),
        (
            "RUNPOD_WEBHOOK_PING",
            format!("{base}/v2/e/ping/$RUNPOD_POD_ID?gpu=A+1"),
        ),
        ("RUNPOD_AI_API_KEY", "K".to_owned()),
        ("RUNPOD_POD_ID", "w1".to_owned()),
        ("RUNPOD_PING_INTERVAL", "250".to_owned()),
    ];
    let lookup = |name: &str| {
        let pair = environment.iter().find(|(key, _)| *key == name);
        pair.map(|(_, value)| value.clone())
    };
    let config = Config::from_lookup(lookup).unwrap();
    HttpPlatform::new(&config, limits, client(&config, limits, false).unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

fn ok() -> String {
    answer("200 OK", "", "{}")
}

fn output(text: &str) -> JobReport {
    let output = RawJson::parse(text.to_owned()).unwrap();
    JobReport::of(&Outcome::Completed(output), false, &WorkerIdentity::default()).unwrap()
}

async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it did not end")
}

/// Posts one output to a server with this answer.
async fn post_to(server: &Server) -> Result<(), PlatformError> {
    let platform = server.platform(WorkerLimits::default());
    soon(platform.post_report(&"j1".into(), &output("7"))).await
}

#[tokio::test]
async fn a_post_is_json_text_labelled_as_a_form_under_the_id_of_its_job() {
    let server = Server::start([ok()]).await;
    let platform = server.platform(WorkerLimits::default());
    let text = r#"{"text": "Grüße, 世界 🎨", "n": 1.50, "s": "\u00e9 & = %"}"#;
    platform.post_report(&"j-1".into(), &output(text)).await.unwrap();
    let post = &server.seen()[0];
    assert!(post.head.starts_with("POST "), "{}", post.head);
    assert_eq!(post.target(), "/v2/e/job-done/w1/j-1?gpu=A+1&isStream=false");
    assert_eq!(
        String::from_utf8_lossy(&post.body),
        format!(r#"{{"output": {text}}}"#),
        "not escaped, not encoded, not reformatted"
    );
    for (name, value) in [
        ("authorization", "K"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("charset", "utf-8"),
        ("x-request-id", "j-1"),
    ] {
        assert_eq!(post.header(name), Some(value), "{name}");
    }
    assert_eq!(post.header("accept-encoding"), None);
    assert_eq!(post.header("transfer-encoding"), None, "the length is known");
}

#[tokio::test]
async fn chunks_progress_and_results_say_whether_they_end_a_stream() {
    let server = Server::start([ok()]).await;
    let platform = server.platform(WorkerLimits::default());
    let (id, value) = (JobId::from("j1"), RawJson::parse("[1]").unwrap());
    platform.post_chunk(&id, &JobReport::chunk(&value)).await.unwrap();
    platform
        .post_report(&id, &JobReport::progress(&value))
        .await
        .unwrap();
    for outcome in [
        Outcome::Streamed(value.clone()),
        Outcome::StreamFailed(JobError::message_only("no")),
        Outcome::Failed(JobError::message_only("no")),
    ] {
        let report = JobReport::of(&outcome, false, &WorkerIdentity::default()).unwrap();
        platform.post_report(&id, &report).await.unwrap();
    }
    let seen = server.seen();
    let targets: Vec<&str> = seen.iter().map(Seen::target).collect();
    assert_eq!(
        targets,
        [
            "/v2/e/job-stream/w1/j1?gpu=A+1&isStream=false",
            "/v2/e/job-done/w1/j1?gpu=A+1&isStream=false",
            "/v2/e/job-done/w1/j1?gpu=A+1&isStream=true",
            "/v2/e/job-done/w1/j1?gpu=A+1&isStream=true",
            "/v2/e/job-done/w1/j1?gpu=A+1&isStream=false",
        ]
    );
    assert_eq!(seen[0].body, br#"{"output": [1]}"#);
    assert_eq!(seen[1].body, br#"{"status": "IN_PROGRESS", "output": [1]}"#);
    assert_eq!(seen[2].body, br#"{"output": [1]}"#);
}

#[tokio::test]
async fn a_hundred_chunks_travel_over_one_connection() {
    // The answers' bodies are read, whatever is in them: else no connection could serve twice.
    let server = Server::start([answer("200 OK", "", &"x".repeat(100_000))]).await;
    let platform = server.platform(WorkerLimits::default());
    let chunk = JobReport::chunk(&RawJson::null());
    for _ in 0..100 {
        platform.post_chunk(&"j1".into(), &chunk).await.unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().all(|request| request.connection == 0));
}

#[tokio::test]
async fn every_2xx_is_an_acceptance_whatever_its_body_says() {
    for status in ["200 OK", "201 Created", "202 Accepted", "204 No Content"] {
        let body = if status.starts_with("204") { "" } else { "<html>no" };
        let server = Server::start([answer(status, "", body)]).await;
        post_to(&server).await.unwrap();
    }
}

#[tokio::test]
async fn a_redirect_that_keeps_the_method_brings_the_result_to_its_new_place() {
    for status in ["307 Temporary Redirect", "308 Permanent Redirect"] {
        let server = Server::start([answer(status, "location: /elsewhere?x=1\r\n", ""), ok()]).await;
        post_to(&server).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 2, "{status}");
        assert_eq!(seen[1].target(), "/elsewhere?x=1");
        assert!(seen[1].head.starts_with("POST "));
        assert_eq!(seen[1].body, br#"{"output": 7}"#);
        assert_eq!(seen[1].header("x-request-id"), Some("j1"));
        assert_eq!(seen[1].header("authorization"), Some("K"));
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_neither_the_result_nor_the_key() {
    let other = Server::start([ok()]).await;
    let location = format!("location: http://{}/done\r\n", other.address);
    let server = Server::start([answer("307 Temporary Redirect", &location, "")]).await;
    let error = post_to(&server).await.unwrap_err();
    assert_eq!(error.disposition(), PostDisposition::NotNow, "{error}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_no_acceptance() {
    for headers in ["", "location: /round-and-round\r\n"] {
        let server = Server::start([answer("307 Temporary Redirect", headers, "")]).await;
        let error = post_to(&server).await.unwrap_err();
        assert_eq!(error.disposition(), PostDisposition::NotNow, "{error}");
        assert!(server.seen().len() <= 11, "it ends");
    }
}

#[tokio::test]
async fn a_redirect_that_loses_the_body_is_no_acceptance_whatever_comes_after_it() {
    for status in ["301 Moved", "302 Found", "303 See Other"] {
        for location in [
            "location: /seen\r\n",
            "location: /v2/e/job-done/w1/j1?gpu=A+1&isStream=false\r\n",
            "",
        ] {
            for after in ["200 OK", "404 Not Found", "400 Bad Request"] {
                let server = Server::start([answer(status, location, ""), answer(after, "", "")]).await;
                let error = post_to(&server).await.unwrap_err();
                assert_eq!(
                    error.disposition(),
                    PostDisposition::NotNow,
                    "{status}, {location}, {after}: {error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_request_without_a_body_follows_redirects_and_does_not_say_where_it_came_from() {
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect"] {
        let server = Server::start([answer(status, "location: /elsewhere\r\n", ""), ok()]).await;
        let platform = server.platform(WorkerLimits::default());
        soon(platform.heartbeat(&[])).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen[1].target(), "/elsewhere");
        assert_eq!(seen[1].header("referer"), None);
        let round = Server::start([answer(status, "location: /round\r\n", "")]).await;
        let error = soon(round.platform(WorkerLimits::default()).heartbeat(&[])).await;
        assert_eq!(error.unwrap_err().disposition(), PostDisposition::NotNow);
        assert_eq!(round.seen().len(), 2, "no URL is asked twice");
    }
}

#[test]
fn key_and_result_go_to_the_same_scheme_host_and_port_or_to_https_of_the_same_host() {
    for (here, location, may) in [
        ("https://h/a", "/b?x=1", true),
        ("https://h/a", "https://h:443/b", true),
        ("https://h:8443/a", "https://h:8443/b", true),
        ("http://h:80/a", "http://h/b", true),
        ("http://h/a", "https://h/b", true),
        ("https://h/a", "http://h/b", false),
        ("https://h/a", "http://h:443/b", false),
        ("https://h:8443/a", "http://h:8443/b", false),
        ("https://h/a", "https://h:8443/b", false),
        ("http://h:8080/a", "https://h:8080/b", false),
        ("http://h:8080/a", "https://h/b", false),
        ("http://h/a", "https://other/b", false),
        ("https://h/a", "//other/b", false),
        ("https://h/a", "https://u:p@h/b", false),
        ("https://h/a", "https://h@other/b", false),
        ("https://h/a", "ftp://h/b", false),
    ] {
        let here = Url::parse(here).unwrap();
        let next = here.join(location).unwrap();
        assert_eq!(may_have(&here, &next), may, "{here} to {location}");
    }
}

#[test]
fn a_redirected_request_does_not_leave_https() {
    let url = |text: &str| Url::parse(text).unwrap();
    for (here, next, may) in [
        ("https://h/a", "https://other/b", true),
        ("http://h/a", "https://h/b", true),
        ("http://h/a", "http://h/b", true),
        ("https://h/a", "http://h:443/b", false),
        ("https://h/a", "http://other/b", false),
        ("https://h/a", "https://h/a", false),
    ] {
        assert_eq!(may_follow(&[url(here)], &url(next)), may, "{here} to {next}");
    }
    let places: Vec<Url> = (0..=MOST_REDIRECTS)
        .map(|n| url(&format!("https://h/{n}")))
        .collect();
    assert!(may_follow(&places[..MOST_REDIRECTS], &url("https://h/next")));
    assert!(!may_follow(&places, &url("https://h/next")), "it ends");
}

#[tokio::test]
async fn each_refusal_has_its_fate() {
    for (status, disposition) in [
        (400, PostDisposition::Refused),
        (401, PostDisposition::NotNow),
        (403, PostDisposition::NotNow),
        (404, PostDisposition::Gone),
        (405, PostDisposition::Refused),
        (408, PostDisposition::NotNow),
        (410, PostDisposition::Gone),
        (413, PostDisposition::Refused),
        (422, PostDisposition::Refused),
        (429, PostDisposition::NotNow),
        (500, PostDisposition::NotNow),
        (502, PostDisposition::NotNow),
        (503, PostDisposition::NotNow),
        (504, PostDisposition::NotNow),
        (599, PostDisposition::NotNow),
    ] {
        let server = Server::start([answer(&format!("{status} X"), "", "because\r\nof this")]).await;
        let error = post_to(&server).await.unwrap_err();
        assert_eq!((error.status(), error.disposition()), (Some(status), disposition));
        assert_eq!(
            error.to_string(),
            format!("done: the platform answered {status}: because  of this")
        );
    }
}

#[tokio::test]
async fn a_platform_that_cannot_be_reached_may_be_reached_later() {
    // Bound and never listened to: connections are refused, and no other server gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = format!("http://{}", socket.local_addr().unwrap());
    // A name that no server is asked for: it is longer than a name may be.
    let nameless = format!("http://{}.invalid", "a".repeat(64));
    for base in [closed, nameless] {
        let platform = platform_at(&base, WorkerLimits::default());
        let error = soon(platform.post_report(&"j1".into(), &output("7")))
            .await
            .unwrap_err();
        assert!(matches!(error, PlatformError::Network { .. }), "{error:?}");
        assert_eq!(error.disposition(), PostDisposition::NotNow);
        assert!(
            error.to_string().starts_with("done: could not connect: "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_answer_cut_off_in_its_head_may_come_whole_later() {
    let server = Server::start(["HTTP/1.1 200 OK\r\ncontent".to_owned()]).await;
    let limits = WorkerLimits {
        request: Duration::from_millis(100),
        ..WorkerLimits::default()
    };
    let platform = server.platform(limits);
    let error = soon(platform.post_report(&"j1".into(), &output("7")))
        .await
        .unwrap_err();
    assert_eq!(error.disposition(), PostDisposition::NotNow, "{error}");
}

#[tokio::test]
async fn the_request_limit_ends_a_post_that_gets_no_answer() {
    let server = Server::start([None::<String>]).await;
    let limits = WorkerLimits {
        request: Duration::from_millis(100),
        ..WorkerLimits::default()
    };
    let platform = server.platform(limits);
    for posted in [
        soon(platform.post_report(&"j1".into(), &output("7"))).await,
        soon(platform.post_chunk(&"j1".into(), &JobReport::chunk(&RawJson::null()))).await,
    ] {
        let error = posted.unwrap_err();
        assert!(matches!(error, PlatformError::TimedOut { .. }), "{error:?}");
        assert_eq!(error.disposition(), PostDisposition::NotNow);
    }
}

#[tokio::test]
async fn the_poll_limit_ends_polls_for_jobs_and_signals_without_an_error() {
    let server = Server::start([None::<String>]).await;
    let limits = WorkerLimits {
        poll: Duration::from_millis(100),
        ..WorkerLimits::default()
    };
    let platform = server.platform(limits);
    let never = CancellationToken::new();
    let jobs = soon(platform.take_jobs(NonZeroUsize::MIN, false, &never)).await;
    assert!(jobs.unwrap().is_empty());
    assert!(soon(platform.stop_signals()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_jobs_body_has_the_request_limit_and_not_what_is_left_of_the_poll() {
    let begun = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    let server = Server::start([begun.to_owned()]).await;
    let limits = WorkerLimits {
        poll: Duration::from_millis(100),
        request: Duration::from_millis(400),
        ..WorkerLimits::default()
    };
    let platform = server.platform(limits);
    let before = std::time::Instant::now();
    let never = CancellationToken::new();
    let error = soon(platform.take_jobs(NonZeroUsize::MIN, false, &never))
        .await
        .unwrap_err();
    assert!(before.elapsed() >= limits.request);
    assert!(
        matches!(error, PlatformError::TimedOut { limit, .. } if limit == limits.request),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_connect_limit_ends_attempts_to_connect() {
    // A full backlog: the system completes no more connections until one is accepted.
    let listener = socket_with_backlog_of_one();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the backlog does not fill");
    }
    let limits = WorkerLimits {
        connect: Duration::from_millis(100),
        ..WorkerLimits::default()
    };
    let platform = platform_at(&format!("http://{address}"), limits);
    let error = soon(platform.post_report(&"j1".into(), &output("7")))
        .await
        .unwrap_err();
    assert!(matches!(error, PlatformError::Network { .. }), "{error:?}");
    assert!(error.to_string().contains("could not connect"), "{error}");
}

fn socket_with_backlog_of_one() -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(1).unwrap()
}

#[tokio::test]
async fn a_ping_names_the_jobs_and_the_protocol_and_ends_within_its_interval() {
    let server = Server::start([Some(ok()), Some(answer("200 OK", "", "whatever")), None]).await;
    let platform = server.platform(WorkerLimits::default());
    platform.heartbeat(&[]).await.unwrap();
    platform.heartbeat(&["a".into(), "b-u1".into()]).await.unwrap();
    let error = soon(platform.heartbeat(&[])).await.unwrap_err();
    assert!(
        matches!(error, PlatformError::TimedOut { limit, .. } if limit == Duration::from_millis(250)),
        "{error:?}"
    );
    let seen = server.seen();
    assert!(seen[0].head.starts_with("GET "));
    assert_eq!(seen[0].target(), "/v2/e/ping/w1?gpu=A+1&runpod_version=1.12.0");
    assert_eq!(
        seen[1].target(),
        "/v2/e/ping/w1?gpu=A+1&job_id=a,b-u1&runpod_version=1.12.0"
    );
    assert_eq!(seen[0].header("authorization"), Some("K"));
    let agent = seen[0].header("user-agent").unwrap();
    assert!(agent.contains(env!("CARGO_PKG_VERSION")), "{agent}");
    assert_eq!(seen[0].header("x-request-id"), None);
}
