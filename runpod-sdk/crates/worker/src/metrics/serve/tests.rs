use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::mpsc;

use prometheus_client::metrics::gauge::Gauge;

use super::*;
use crate::events::WorkerEvent;

const LIMITS: ServerLimits = ServerLimits {
    connections: 2,
    head_bytes: 8192,
    head_time: Duration::from_millis(200),
    time: Duration::from_millis(400),
};

fn served(limits: ServerLimits) -> (Metrics, MetricsThread) {
    let metrics = Metrics::new();
    let thread = start(metrics.clone(), (Ipv4Addr::LOCALHOST, 0).into(), limits).unwrap();
    (metrics, thread)
}

/// Sends `request` and reads until the server hangs up.
fn ask(server: &MetricsThread, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may have seen enough before it has seen all.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    // A connection that the server cut off while data was on its way ends with an error; what came counts.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn scrape(server: &MetricsThread) -> String {
    ask(server, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[test]
fn a_scrape_gets_the_figures_as_openmetrics() {
    let (metrics, server) = served(ServerLimits::default());
    metrics.count(&WorkerEvent::Started { slots: 3 });
    let answer = scrape(&server);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/openmetrics-text"),
        "{head}"
    );
    assert!(
        body.contains("\nrunpod_worker_slots 3\n") && body.ends_with("# EOF\n"),
        "{body}"
    );
}

#[test]
fn a_web_page_or_a_strange_name_gets_no_figures() {
    let (_, server) = served(ServerLimits::default());
    for head in [
        "Host: evil.example",
        "Host: 127.0.0.1.evil.example:80",
        "Host: localhost\r\nOrigin: https://evil.example",
        "Host: localhost\r\nSec-Fetch-Site: cross-site",
    ] {
        let answer = ask(
            &server,
            format!("GET /metrics HTTP/1.1\r\n{head}\r\n\r\n").as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 403 "), "{head}: {answer}");
        assert!(!answer.contains("runpod_worker"), "{answer}");
    }
}

#[test]
fn other_paths_and_methods_are_refused() {
    let (_, server) = served(ServerLimits::default());
    assert!(ask(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").starts_with("HTTP/1.1 404"));
    let answer = ask(
        &server,
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
    );
    assert!(
        answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET"),
        "{answer}"
    );
    assert!(ask(&server, b"\x16\x03\x01 not HTTP\r\n\r\n").starts_with("HTTP/1.1 400"));
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let (_, server) = served(ServerLimits::default());
    let mut request = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
    request.extend(vec![b'a'; 1 << 20]);
    let answer = ask(&server, &request);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        scrape(&server).starts_with("HTTP/1.1 200"),
        "the next one is served"
    );
}

#[test]
fn clients_that_say_nothing_do_not_keep_others_out() {
    let (_, server) = served(LIMITS);
    let silent: Vec<TcpStream> = (0..6)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    assert!(scrape(&server).starts_with("HTTP/1.1 200"));
    drop(silent);
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let (metrics, server) = served(LIMITS);
    // Far more than the kernel buffers for a reader that does not read.
    let long = "x".repeat(1 << 20);
    for number in 0..48 {
        metrics.registry(|registry| {
            let help = long.clone();
            registry.register(format!("own_{number}"), help, Gauge::<i64>::default());
        });
    }
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    // While it stalls, and after it was cut off, others are served.
    for _ in 0..3 {
        assert!(scrape(&server).ends_with("# EOF\n"));
    }
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    // It reads at last, and finds that the server has given up in the middle.
    let mut piece = vec![0; 65536];
    while let Ok(read) = stream.read(&mut piece) {
        if read == 0 {
            break;
        }
        answer.push(read);
    }
    assert!(answer.iter().sum::<usize>() < 48 << 20);
}

#[test]
fn dropping_the_thread_ends_it_with_connections_open() {
    let (_, server) = served(ServerLimits::default());
    let _open = TcpStream::connect(server.address).unwrap();
    let address = server.address;
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        drop(server);
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(TcpStream::connect(address).is_err(), "the port is closed");
}

#[test]
fn an_address_that_is_taken_is_no_reason_to_fail() {
    let (metrics, server) = served(ServerLimits::default());
    assert!(on_thread(&metrics, server.address, ServerLimits::default()).is_none());
}
