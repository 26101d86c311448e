//! Clients that send or read slowly, over connections that follow the paused clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::routes::App;
use super::super::server;
use super::super::settings::HttpSettings;
use super::{app, work};
use crate::boot::HttpMode;
use crate::job::WorkerIdentity;
use crate::prelude::*;
use crate::runtime::ActiveJobs;
use crate::settings::Settings;
use crate::telemetry::log_capture::LogCapture;

/// A client's end of a new connection, which buffers this number of unread bytes.
fn connect(app: &Arc<App>, room: usize) -> DuplexStream {
    let (client, served) = tokio::io::duplex(room);
    tokio::spawn(server::answer(served, app.clone(), CancellationToken::new()));
    client
}

async fn send(client: &mut DuplexStream, accept: &str, body: &str) {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {accept}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
}

async fn read(mut client: DuplexStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

/// A worker that gives as many letters as it is asked for, in chunks of a thousand.
fn letters() -> Worker {
    Worker::new(|thousands: usize| async move {
        JobResult::Ok(Streaming::new(stream::iter(
            (0..thousands).map(|_| JobResult::Ok("x".repeat(1000))),
        )))
    })
}

#[tokio::test]
async fn health_checks_on_their_own_port_are_answered_while_the_other_port_is_full() {
    let mut settings = HttpSettings::read(HttpMode::LoadBalancing, &Settings::default(), |_| None).unwrap();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    (settings.address, settings.health) = (any_port, Some(any_port));
    let app = Arc::new(App::new(settings, super::requests(1), WorkerIdentity::default()));
    app.requests.open(super::one());
    let log = LogCapture::begin();
    let server = server::Server::start_with(app, 1, &tokio::runtime::Handle::current())
        .await
        .unwrap();
    let at = |what: &str| {
        let line = log.lines_with(what).pop().unwrap();
        line.rsplit_once("http://").unwrap().1.to_owned()
    };
    let (requests, health) = (at("for requests"), at("for health checks"));
    // Two silent connections; the second waits for room.
    let _full = [
        TcpStream::connect(&requests).await.unwrap(),
        TcpStream::connect(&requests).await.unwrap(),
    ];
    let asking = async {
        let mut client = TcpStream::connect(&health).await.unwrap();
        let request = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), asking).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 200 "));
    server.stop(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_head_that_comes_too_slowly_ends_its_connection() {
    let app = app();
    work(&app, letters()).await;
    for beginning in ["", "POST / HTTP/1.1\r\nHost: "] {
        let mut client = connect(&app, 1 << 16);
        client.write_all(beginning.as_bytes()).await.unwrap();
        let began = Instant::now();
        let answer = read(client).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
        assert_eq!(began.elapsed(), Duration::from_secs(30), "{beginning:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_body_that_comes_too_slowly_is_408_and_ends_its_connection() {
    let app = app();
    work(&app, letters()).await;
    let mut client = connect(&app, 1 << 16);
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n1";
    client.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    let answer = read(client).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("REQUEST_TIMEOUT"), "{answer}");
    assert_eq!(began.elapsed(), Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_of_a_stream_loses_its_job_after_a_minute() {
    let app = app();
    work(&app, letters().cancel_grace(Duration::ZERO)).await;
    let mut deaf = connect(&app, 1 << 10);
    send(&mut deaf, "application/x-ndjson", "1000000000").await;
    let began = Instant::now();
    while app.requests.active_jobs.is_empty() {
        tokio::task::yield_now().await;
    }
    app.requests.active_jobs.until(ActiveJobs::is_empty).await;
    assert_eq!(began.elapsed().as_secs(), 60);

    let mut next = connect(&app, 1 << 10);
    send(&mut next, "application/json", "1").await;
    let answer = read(next).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "its slot is free: {answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_of_one_large_answer_is_cut_off_after_a_minute() {
    let app = app();
    work(&app, letters()).await;
    let mut deaf = connect(&app, 1 << 10);
    send(&mut deaf, "application/json", "100").await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    let mut left = Vec::new();
    deaf.read_to_end(&mut left).await.unwrap();
    assert!(left.len() < 2000, "what had been sent: {}", left.len());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_everything() {
    let app = app();
    work(&app, letters()).await;
    let mut slow = connect(&app, 1 << 10);
    send(&mut slow, "application/x-ndjson", "20").await;
    let (mut text, mut piece) = (Vec::new(), [0; 2000]);
    loop {
        tokio::time::sleep(Duration::from_secs(59)).await;
        match slow.read(&mut piece).await.unwrap() {
            0 => break,
            read => text.extend_from_slice(&piece[..read]),
        }
    }
    let text = String::from_utf8(text).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.matches('x').count(), 20_000);
}
