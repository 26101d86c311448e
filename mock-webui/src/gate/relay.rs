//! One request through the gate: forward, hold on a ticket, finish.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::finish::{Wishes, decorate, finish};
use crate::answer::Answer;
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
}

/// Carries requests to the inner server and answers back.
#[derive(Debug)]
pub(crate) struct Relay {
    inner: SocketAddr,
    desk: Desk,
    prefix: String,
    keep_alive: Duration,
}

impl Relay {
    pub(crate) fn new(inner: SocketAddr, desk: Desk, prefix: String, keep_alive: Duration) -> Self {
        Self {
            inner,
            desk,
            prefix,
            keep_alive,
        }
    }

    pub(crate) fn keep_alive(&self) -> Duration {
        self.keep_alive
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
        let arrived = Instant::now();
        let (head, body) = request.into_parts();
        let wishes = Wishes::of(&head.headers);
        let body = body.collect().await?.to_bytes();
        let Some(path) = self.without_prefix(&head.uri) else {
            let answer = Answer::detail(StatusCode::NOT_FOUND, "Not Found");
            return Ok(finish(answer, wishes, arrived.elapsed()).map(Full::new));
        };
        let mut inner = Request::new(Full::new(body.clone()));
        *inner.method_mut() = head.method;
        *inner.uri_mut() = path.parse()?;
        *inner.headers_mut() = head.headers;
        inner.headers_mut().remove(TICKET);
        let mut response = self.forward(inner).await?;

        if let Some(ticket) = response.headers_mut().remove(TICKET) {
            let work = self.desk.redeem(&ticket).ok_or(Broken::Ticket)?;
            let answer = detached(work, body).await;
            return Ok(finish(answer, wishes, arrived.elapsed()).map(Full::new));
        }
        let own = response.headers_mut().remove(OWN);
        if let Some(own) = own {
            let took = (own == "timed").then(|| arrived.elapsed());
            decorate(&mut response, wishes, took);
        }
        Ok(response.map(Full::new))
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

    async fn forward(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Broken> {
        keep_end_to_end(request.headers_mut());
        let stream = TcpStream::connect(self.inner).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (mut head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        keep_end_to_end(&mut head.headers);
        Ok(Response::from_parts(head, body))
    }
}

/// Does the work in a task of its own: a client that gives up does not stop its render (§1).
async fn detached(work: Work, body: Bytes) -> Answer {
    tokio::spawn(work(body)).await.unwrap_or_else(|panic| {
        let failure = crate::answer::Failure::unexpected("RuntimeError", format!("mock-webui: {panic}"));
        failure.into_answer(false)
    })
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
