//! As much of an HTTP/1.1 server as the fakes need: blocking, one thread a connection, no copies that can be
//! avoided. A lean server matters here: its time is on both sides of every comparison.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

/// Large enough for a head, and for reading a large body in few calls.
const BUFFER: usize = 256 << 10;

/// The server's side of one kept-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// What has been read and not used yet.
    unread: std::ops::Range<usize>,
}

/// The head of a request. Its body is still to be read.
#[derive(Debug)]
pub(crate) struct Request {
    /// When its first byte was here.
    pub(crate) begun: Instant,
    pub(crate) target: String,
    length: usize,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            unread: 0..0,
        })
    }

    /// The next request, or `None` if the other side has hung up.
    pub(crate) fn request(&mut self) -> io::Result<Option<Request>> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let mut begun = None;
        loop {
            let seen = &self.buffer[self.unread.clone()];
            if !seen.is_empty() {
                begun.get_or_insert_with(Instant::now);
            }
            if let Some(head) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                let (target, length) = read_head(&seen[..head])
                    .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a request"))?;
                self.unread.start += head + 4;
                return Ok(begun.map(|begun| Request {
                    begun,
                    target,
                    length,
                }));
            }
            let free = &mut self.buffer[self.unread.end..];
            if free.is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an endless head"));
            }
            match self.stream.read(free)? {
                0 => return Ok(None),
                read => self.unread.end += read,
            }
        }
    }

    /// Reads the request's body and forgets it. Returns its size.
    pub(crate) fn skip_body(&mut self, request: &Request) -> io::Result<usize> {
        let here = request.length.min(self.unread.len());
        self.unread.start += here;
        let mut missing = request.length - here;
        while missing > 0 {
            let most = missing.min(self.buffer.len());
            match self.stream.read(&mut self.buffer[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => missing -= read,
            }
            self.unread = 0..0;
        }
        Ok(request.length)
    }

    /// Sends an answer made by [`answer`]. Returns when its last byte was handed to the system.
    pub(crate) fn send(&mut self, answer: &[u8]) -> io::Result<Instant> {
        self.stream.write_all(answer)?;
        Ok(Instant::now())
    }
}

/// A complete answer with a JSON body.
pub(crate) fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The target and the body's length.
fn read_head(head: &[u8]) -> Option<(String, usize)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
    Some((target, length))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_names_its_target_and_its_length() {
        let head = b"POST /a?b=c HTTP/1.1\r\nHost: h\r\ncontent-LENGTH: 12";
        assert_eq!(read_head(head), Some(("/a?b=c".to_owned(), 12)));
        assert_eq!(read_head(b"GET / HTTP/1.1"), Some(("/".to_owned(), 0)));
        assert_eq!(read_head(b"nonsense"), None);
        assert_eq!(read_head(b"GET / HTTP/1.1\r\nContent-Length: many"), None);
    }

    #[test]
    fn requests_follow_each_other_on_one_connection_whatever_the_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = Connection::new(listener.accept().unwrap().0).unwrap();
        let large = vec![b'x'; BUFFER + 7];
        let head = format!("POST /large HTTP/1.1\r\nContent-Length: {}\r\n\r\n", large.len());
        let sender = std::thread::spawn(move || {
            for piece in [head.as_bytes(), &large, b"GET /next HT", b"TP/1.1\r\n\r\n"] {
                client.write_all(piece).unwrap();
            }
        });
        let request = server.request().unwrap().unwrap();
        assert_eq!(request.target, "/large");
        assert_eq!(server.skip_body(&request).unwrap(), BUFFER + 7);
        assert_eq!(server.request().unwrap().unwrap().target, "/next");
        sender.join().unwrap();
        assert!(server.request().unwrap().is_none(), "the client has gone");
    }
}
