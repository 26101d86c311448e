//! The golden conversation (`docs/protocol/worker-protocol.md` §19): two jobs at once, progress, a
//! chunk, a stop, and the heartbeat beside them, word for word.
//!
//! The worker of this conversation is this test binary itself, started again as a process of its own:
//! it needs a handler that streams and waits, which the Stable Diffusion worker does not.

use std::fmt::Write as _;
use std::io::{PipeWriter, Write as _};
use std::process::ExitCode;

use futures_util::stream;
use runpod_sdk::{Context, JobError, Streaming, Worker};
use serde_json::Value;
use tokio::process::Command;

use crate::support::{Channel, Platform, Program, Request, Step};

/// Says half, and once a line comes from standard input, a chunk. A job other than the first waits for
/// ever, so it can only be stopped.
fn converse() -> Worker {
    Worker::new(|input: Value, ctx: Context| async move {
        let first = input["n"] == 1;
        if first {
            ctx.progress("half");
        }
        Ok::<_, JobError>(Streaming::new(stream::once(async move {
            if !first {
                std::future::pending::<()>().await;
            }
            let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
            assert!(line.await.unwrap().is_some(), "the test is gone");
            Ok::<_, JobError>("chunk")
        })))
    })
    .concurrency(2)
}

/// Not a test: the worker's `main`, for the process that the conversation starts.
#[test]
#[ignore = "it is the worker of another test"]
fn the_worker_itself() -> ExitCode {
    if std::env::var_os("RUNPOD_WEBHOOK_GET_JOB").is_none() {
        return ExitCode::SUCCESS;
    }
    runpod_sdk::start(converse())
}

/// The worker, and what its standard input reads from.
fn start_worker(platform: &Platform) -> (Program, PipeWriter) {
    let (stdin, told) = std::io::pipe().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "conversation::the_worker_itself",
            "--ignored",
            "--nocapture",
        ])
        .env_clear()
        .envs(platform.env())
        .env("RUNPOD_UA_INTEGRATION", "golden")
        .stdin(stdin);
    (Program::start(command), told)
}

/// Holds the conversation to its end.
async fn hold() -> Platform {
    let platform = Platform::start().await;
    let (mut worker, mut told) = start_worker(&platform);
    let pinged = async |jobs: &str| {
        let ending = format!("?gpu=A{jobs}&runpod_version=1.12.0");
        platform
            .find_next(Channel::Ping, |ping| ping.head.target.ends_with(&ending))
            .await;
    };

    platform.request(Channel::Stop, 1).await;
    platform.request(Channel::Take, 1).await;
    pinged("").await;
    platform.then(Channel::Take, [Step::json(r#"[{"id":"j1","input":{"n":1}}]"#)]);
    platform.request(Channel::Take, 2).await;
    platform.request(Channel::Done, 1).await;
    pinged("&job_id=j1").await;
    platform.offer("j2", "{}");
    pinged("&job_id=j1,j2").await;
    platform.then(Channel::Stop, [Step::json(r#"{"jobsToStop":["j2"]}"#)]);
    platform.request(Channel::Stop, 2).await;
    pinged("&job_id=j1").await;
    platform.request(Channel::Take, 3).await;
    told.write_all(b"go on\n").unwrap();
    platform.request(Channel::Stream, 1).await;
    platform.request(Channel::Done, 2).await;
    pinged("").await;
    worker.signal("TERM").await;
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
    platform
}

const CHANNELS: [Channel; 5] = [
    Channel::Ping,
    Channel::Stop,
    Channel::Take,
    Channel::Done,
    Channel::Stream,
];

fn line(request: &Request) -> String {
    let mut line = format!("{} {}", request.head.method, request.head.target);
    if let Some(id) = request.head.header("x-request-id") {
        let _ = write!(line, "   X-Request-ID: {id}");
    }
    if !request.body.is_empty() {
        let _ = write!(line, "\n  {}", String::from_utf8_lossy(&request.body));
    }
    line
}

/// Port, versions and system are different elsewhere.
fn redacted() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"127\.0\.0\.1:\d+", "<platform>");
    settings.add_filter(
        r"RunPod-Rust-SDK/[\d.]+ \(\w+; \w+\) Language/Rust [\d.]+",
        "RunPod-Rust-SDK/<version> (<OS>; <machine>) Language/Rust <version>",
    );
    settings
}

#[tokio::test]
async fn the_conversation_is_that_of_the_protocol() {
    let platform = hold().await;
    let mut text = String::new();
    for channel in CHANNELS {
        let _ = writeln!(text, "{channel:?}");
        let mut lines: Vec<_> = platform.requests(channel).iter().map(line).collect();
        if channel == Channel::Ping {
            // How often the worker pings in between is a matter of time.
            lines.dedup();
        }
        let _ = writeln!(text, "{}\n", lines.join("\n"));
    }
    redacted().bind(|| insta::assert_snapshot!(text));
}

#[tokio::test]
async fn the_headers_are_those_of_the_protocol() {
    let platform = hold().await;
    let mut text = String::new();
    for channel in CHANNELS {
        let requests = platform.requests(channel);
        let _ = writeln!(text, "{channel:?}");
        for (name, value) in &requests[0].head.headers {
            let _ = writeln!(text, "  {name}: {value}");
        }
        for request in &requests {
            let names = |request: &Request| -> Vec<String> {
                let headers = request.head.headers.iter();
                headers.map(|(name, _)| name.clone()).collect()
            };
            assert_eq!(names(request), names(&requests[0]), "on {channel:?}");
        }
    }
    redacted().bind(|| insta::assert_snapshot!(text));
}
