//! An HTTP/1.1 server that shows what was really sent, and breaks connections where a test wants it.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A request's first line and headers.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// In the order they came, with the names as they were spelled.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let mut first = lines.next().unwrap().split(' ');
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    fn body_length(&self) -> usize {
        let length = self.header("content-length");
        length.map_or(0, |length| length.parse().unwrap())
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// When its head had come.
    pub(crate) at: Instant,
}

/// What a server does about a request that has come whole.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Writes these bytes and waits for the next request.
    Answer(Vec<u8>),
    /// Writes these bytes and resets the connection.
    Reset(Vec<u8>),
    /// Writes the first bytes, waits for the gate, and writes the rest.
    Halves(Vec<u8>, Gate, Vec<u8>),
}

/// Closed until it is opened. It lets one waiter through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<Notify>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.notify_one();
    }
}

/// The bytes of a whole answer.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// The bytes of a whole JSON answer.
pub(crate) fn json(status: u16, body: impl AsRef<[u8]>) -> Vec<u8> {
    answer(status, &[("content-type", "application/json")], body)
}

/// What a server does.
pub(crate) trait Service: Send + Sync + 'static {
    /// Whether to reset the connection when so many bytes of this request's body have come.
    fn cut_upload(&self, _: &Head) -> Option<usize> {
        None
    }

    /// Told when the first bytes of an answer have arrived on the client's side.
    fn answered(&self, _: &str) {}

    /// The answer to a request. Dropped when the client hangs up.
    fn reply(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

/// Starts a server on loopback. It ends with the test's runtime.
pub(crate) async fn listen<S: Service>(service: Arc<S>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let connection = Connection {
                    stream,
                    unread: Vec::new(),
                };
                // A client that hangs up is none of this server's business.
                let _ = connection.serve(&*service).await;
            });
        }
    });
    address
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    async fn serve(mut self, service: &impl Service) -> io::Result<()> {
        loop {
            let Some(head) = self.head().await? else {
                return Ok(());
            };
            let at = Instant::now();
            let length = head.body_length();
            if let Some(cut) = service.cut_upload(&head) {
                self.read(cut.min(length)).await?;
                return self.stream.set_zero_linger();
            }
            self.read(length).await?;
            let body = self.unread.drain(..length).collect();
            let target = head.target.clone();
            let reply = tokio::select! {
                biased;
                reply = service.reply(Request { head, body, at }) => reply,
                () = hung_up(&self.stream) => return Ok(()),
            };
            let (Reply::Answer(first) | Reply::Reset(first) | Reply::Halves(first, ..)) = &reply;
            self.stream.write_all(first).await?;
            arrived(&self.stream).await?;
            service.answered(&target);
            match reply {
                Reply::Answer(_) => {}
                Reply::Reset(_) => return self.stream.set_zero_linger(),
                Reply::Halves(_, gate, rest) => {
                    gate.0.notified().await;
                    self.stream.write_all(&rest).await?;
                }
            }
        }
    }

    async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                return Ok(Some(Head::parse(std::str::from_utf8(&head).unwrap())));
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads until so many bytes are here.
    async fn read(&mut self, length: usize) -> io::Result<()> {
        while self.unread.len() < length {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

/// Waits until the client has closed its end.
async fn hung_up(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        // The next request: it waits for its turn.
        Ok(_) => std::future::pending().await,
    }
}

/// Waits until everything written has arrived: the client's system has confirmed it, so a signal sent
/// from now on comes later. Nothing but a look at Linux's table of connections tells.
async fn arrived(stream: &TcpStream) -> io::Result<()> {
    let port = |address: SocketAddr| format!(":{:04X} ", address.port());
    let (near, far) = (port(stream.local_addr()?), port(stream.peer_addr()?));
    let unconfirmed = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let ours = table
            .lines()
            .find(|line| line.contains(&format!("{near}0100007F{far}")));
        // "… state tx_queue:rx_queue …"
        ours.and_then(|line| line.split_whitespace().nth(4))
            .is_some_and(|queues| !queues.starts_with("00000000:"))
    };
    while unconfirmed() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
