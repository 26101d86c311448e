//! One request through the gate: forward, hold on a ticket, finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::admin;
use super::finish::{Wishes, decorate, finish};
use super::wire::{WireControl, WireFault};
use crate::answer::{Answer, Failure};
use crate::faults::{FaultKind, Trouble};
use crate::phase::Phase;
use crate::server::Server;
use crate::ticket::{Desk, OWN, TICKET, Work};

/// Anything that ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Connection(#[from] std::io::Error),
    #[error(transparent)]
    Path(#[from] http::uri::InvalidUri),
    #[error("an answer carried a ticket that was redeemed before")]
    Ticket,
    #[error("a fault cut this connection")]
    Fault,
    #[error("the imitated process has died")]
    Died,
}

/// Carries requests to the inner server and answers back.
#[derive(Debug)]
pub(crate) struct Relay {
    inner: SocketAddr,
    server: Server,
    desk: Desk,
    prefix: String,
    keep_alive: Duration,
    threads: Option<Arc<Semaphore>>,
}

impl Relay {
    pub(crate) fn new(
        inner: SocketAddr,
        server: Server,
        desk: Desk,
        prefix: String,
        keep_alive: Duration,
    ) -> Self {
        let threads = server
            .setup()
            .threads
            .map(|count| Arc::new(Semaphore::new(count)));
        Self {
            inner,
            server,
            desk,
            prefix,
            keep_alive,
            threads,
        }
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn keep_alive(&self) -> Duration {
        self.keep_alive
    }

    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        wire: &WireControl,
    ) -> Result<Response<Full<Bytes>>, Broken> {
        let arrived = Instant::now();
        let (head, body) = request.into_parts();
        let wishes = Wishes::of(&head.headers, self.server.profile());
        let body = body.collect().await?.to_bytes();
        if let Some(route) = head.uri.path().strip_prefix(admin::ROOT) {
            let answer = admin::answer(&self.server, &head.method, route, &body).await;
            return Ok(finish(answer, wishes, arrived.elapsed()).map(Full::new));
        }
        let path = self.without_prefix(&head.uri).filter(|path| self.is_there(path));
        let Some(path) = path else {
            let answer = Answer::detail(StatusCode::NOT_FOUND, "Not Found");
            return Ok(finish(answer, wishes, arrived.elapsed()).map(Full::new));
        };
        let trouble = self
            .server
            .faults()
            .draw(path.split('?').next().unwrap_or_default());
        // A thread of the real server's pool; the documentation pages are served without one (§1).
        let threads = self
            .threads
            .as_ref()
            .filter(|_| !matches!(path.as_str(), "/docs" | "/redoc" | "/openapi.json"));
        let _thread = match threads {
            Some(threads) => threads.acquire().await.ok(),
            None => None,
        };
        let mut inner = Request::new(Full::new(body.clone()));
        *inner.method_mut() = head.method;
        *inner.uri_mut() = path.parse()?;
        *inner.headers_mut() = head.headers;
        inner.headers_mut().remove(TICKET);
        let start = self.server.life().borrow().start;
        let mut response = self.forward(inner).await?;
        if self.server.life().borrow().start != start {
            return Err(Broken::Died); // this very request has killed the process
        }

        let ticket = response.headers_mut().remove(TICKET);
        let work = ticket
            .map(|ticket| self.desk.redeem(&ticket).ok_or(Broken::Ticket))
            .transpose()?;
        if let Some(answer) = instead(&trouble) {
            response = finish(answer, wishes, arrived.elapsed());
            response.headers_mut().remove(header::SERVER);
        } else if let Some(work) = work {
            let answer = self.redeem(work, body, &trouble).await?;
            response = finish(answer, wishes, arrived.elapsed());
        } else if let Some(own) = response.headers_mut().remove(OWN) {
            decorate(&mut response, wishes, (own == "timed").then(|| arrived.elapsed()));
        }
        spoil(response, &trouble, wire).map(|response| response.map(Full::new))
    }

    /// The path and query as the inner server knows them; `None` outside the prefix.
    fn without_prefix(&self, uri: &http::Uri) -> Option<String> {
        let path = uri.path().strip_prefix(self.prefix.as_str())?;
        let path = match path {
            "" => "/",
            path if path.starts_with('/') => path,
            _ => return None,
        };
        Some(
            uri.query()
                .map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")),
        )
    }

    /// While only the web page is up, the API's routes do not exist (§1).
    fn is_there(&self, path: &str) -> bool {
        self.server.life().borrow().phase != Phase::PageOnly || !path.starts_with("/sdapi/")
    }

    async fn forward(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Broken> {
        keep_end_to_end(request.headers_mut());
        let is_head = request.method() == Method::HEAD;
        let stream = TcpStream::connect(self.inner).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (mut head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        keep_end_to_end(&mut head.headers);
        if !is_head {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        Ok(Response::from_parts(head, body))
    }

    /// Does the work in a task of its own: a client that gives up does not stop its render (§1). Only the
    /// death of the process ends it.
    async fn redeem(&self, work: Work, body: Bytes, trouble: &Trouble) -> Result<Answer, Broken> {
        let server = self.server.clone();
        let job = work(body, trouble.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = server.death() => None,
                answer = job => Some(answer),
            }
        });
        let done = tokio::select! {
            done = task => done,
            () = trouble.cut.notified() => return Err(Broken::Fault),
        };
        match done {
            Ok(answer) => answer.ok_or(Broken::Died),
            Err(panic) => Ok(
                Failure::unexpected("RuntimeError", format!("mock-webui: {panic}"))
                    .into_answer(self.server.profile()),
            ),
        }
    }
}

/// The answer that a fault gives in place of the server's own.
fn instead(trouble: &Trouble) -> Option<Answer> {
    trouble.kinds().iter().find_map(|kind| {
        let (status, kind, page) = match kind {
            FaultKind::Status { status } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                let page = format!("<html><body><h1>{status}</h1></body></html>\n");
                (status, "text/html", page)
            }
            FaultKind::PlainText500 => {
                let page = "Internal Server Error".to_owned();
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "text/plain; charset=utf-8",
                    page,
                )
            }
            _ => return None,
        };
        let mut answer = Answer::raw(status, Some(kind), page);
        answer.timed = false;
        Some(answer)
    })
}

/// Lets the faults that concern a finished answer have their way with it.
fn spoil(
    mut response: Response<Bytes>,
    trouble: &Trouble,
    wire: &WireControl,
) -> Result<Response<Bytes>, Broken> {
    for kind in trouble.kinds() {
        // Headers take about 200 bytes; an answer shorter than that ends inside them.
        let half = response.body().len().div_ceil(2);
        match kind {
            FaultKind::DropAfterGenerate => return Err(Broken::Fault),
            FaultKind::HalfJson => {
                let first_half = response.body().slice(..response.body().len() / 2);
                *response.body_mut() = first_half;
            }
            FaultKind::CutBody => wire.set(WireFault::CutAfter(half)),
            FaultKind::StallBody => wire.set(WireFault::StallAfter(half)),
            FaultKind::HalfClose => wire.set(WireFault::HalfCloseAfter(half)),
            FaultKind::Garbage => wire.set(WireFault::Garbage),
            FaultKind::SlowDrip { bytes, every_ms } => {
                let every = Duration::from_millis(*every_ms);
                wire.set(WireFault::Drip {
                    bytes: *bytes,
                    every,
                    pause: None,
                });
            }
            _ => {}
        }
    }
    Ok(response)
}

/// Drops the headers that concern one connection only.
fn keep_end_to_end(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::EXPECT,
    ] {
        headers.remove(name);
    }
}
