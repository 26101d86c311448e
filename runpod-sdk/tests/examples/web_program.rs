//! The example `web_program`: a program's own routes, over real sockets and with real signals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::load_balancing::Server;

const PATIENCE: Duration = Duration::from_mins(1);

fn start(variables: &[(&str, &str)]) -> Server {
    Server::start_of("web_program", variables)
}

/// A client's end of a WebSocket. Its messages are short.
struct Socket(BufReader<TcpStream>);

impl Socket {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut socket = Self(BufReader::new(stream));
        let head = "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.0.get_mut().write_all(head.as_bytes()).unwrap();
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.trim().is_empty()) {
            let mut line = String::new();
            socket.0.read_line(&mut line).unwrap();
            lines.push(line);
        }
        assert!(lines[0].contains(" 101 "), "{lines:?}");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("x-runpod-worker-id: local")),
            "{lines:?}"
        );
        socket
    }

    fn say(&mut self, text: &str) {
        // A final frame of text, masked with zeros.
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.get_mut().write_all(&frame).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 0x81, "a frame of text");
        let mut text = vec![0; head[1].into()];
        self.0.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

#[test]
fn its_routes_its_events_and_the_workers_health_are_served() {
    let server = start(&[("MODEL", "large")]);
    assert_eq!(server.ask("GET /ping", "").0, 200);
    assert_eq!(
        server.ask("GET /models/large", ""),
        (200, "the model large is loaded".to_owned())
    );
    assert_eq!(server.ask("GET /models/other", "").0, 404);
    assert_eq!(server.ask("GET /nothing", "").0, 404);
    assert_eq!(server.ask("POST /models/large", "").0, 405);
    let (status, events) = server.ask("GET /spell/hi", "");
    assert_eq!(status, 200);
    assert_eq!(
        server.ask("POST /", "\"hi\""),
        (200, "\"large says: HI\"".to_owned())
    );
    assert!(
        events.contains("data: h\n\n") && events.contains("data: i\n\n"),
        "{events}"
    );
}

#[test]
fn a_websocket_talks_and_is_told_of_the_end() {
    let server = start(&[]);
    let mut socket = Socket::open(&server);
    socket.say("hello");
    assert_eq!(socket.hear(), "tiny says: HELLO");
    server.signal(Signal::TERM);
    assert_eq!(socket.hear(), "goodbye");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn each_answer_is_counted_by_its_route() {
    let server = start(&[("RUNPOD_LOG_LEVEL", "DEBUG")]);
    server.ask("GET /models/tiny", "");
    let line = server.until("request answered: GET");
    assert!(line.contains("/models/{name} status=200"), "{line}");
    server.ask("GET /nothing", "");
    server.until("request answered: GET no route status=404");
}
