//! A server on loopback that answers by script. Its answers may be faulty.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runpod_protocol::sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The answer to a request.
pub(crate) enum Reply {
    /// These bytes, then the end of the connection.
    Whole(Vec<u8>),
    /// These bytes. The connection then stays open and silent.
    Stall(Vec<u8>),
    /// A reset of the connection while the request's body is still sent.
    #[cfg(feature = "upload")]
    Reset,
}

impl Reply {
    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::with("200 OK", "", body)
    }

    pub(crate) fn status(status: &str) -> Self {
        Self::with(status, "", "")
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::with("302 Found", &format!("Location: {to}\r\n"), "")
    }

    /// An answer with more headers. Each ends with `\r\n`.
    pub(crate) fn with(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}", body.len());
        Self::Whole([head.as_bytes(), b"Connection: close\r\n\r\n", body].concat())
    }

    /// A body that is shorter than announced.
    #[cfg(feature = "download")]
    pub(crate) fn cut(announced: usize, body: &str) -> Self {
        Self::Whole(format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n{body}").into_bytes())
    }
}

/// A server that stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _stop: DropGuard,
}

/// What a server has received.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Server {
    /// Starts a server whose `script` answers each request by its number, from 0, and its head.
    pub(crate) async fn start(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, script).await
    }

    pub(crate) async fn start_at(
        address: Ipv4Addr,
        script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (seen, script) = (Arc::new(Seen::default()), Arc::new(script));
        let (of_task, until) = (seen.clone(), stop.clone());
        tokio::spawn(until.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answered = answer(stream, of_task.clone(), script.clone());
                tokio::spawn(until.clone().run_until_cancelled_owned(answered));
            }
        }));
        Self {
            address,
            seen,
            _stop: stop.drop_guard(),
        }
    }

    #[cfg(feature = "download")]
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A URL of this server by its address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().clone()
    }

    /// The most requests that were open at once.
    #[cfg(feature = "download")]
    pub(crate) fn most_open(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, seen: Arc<Seen>, script: Arc<impl Fn(usize, &str) -> Reply>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_open.fetch_max(open, Ordering::SeqCst);
    let head = String::from_utf8_lossy(&head).into_owned();
    let number = {
        let mut requests = seen.requests.lock();
        requests.push(head.clone());
        requests.len() - 1
    };
    match script(number, &head) {
        Reply::Whole(bytes) => {
            // Requests that are sent at once arrive before this one ends.
            tokio::task::yield_now().await;
            seen.open.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            // The rest of the request is read. Otherwise closing resets the connection before the client has read the
            // answer.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
        #[cfg(feature = "upload")]
        Reply::Reset => {
            let mut part = [0; 4096];
            let _ = stream.read(&mut part).await;
            // Closing with unread bytes resets the connection.
        }
        Reply::Stall(bytes) => {
            let _ = stream.write_all(&bytes).await;
            std::future::pending::<()>().await;
        }
    }
}
