//! One request through the gate: forward it, do the deferred work, finish the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::admin;
use super::finish::{ResponseOptions, decorate, finish};
use super::wire::{WireControl, WireFault};
use crate::answer::{Answer, Failure};
use crate::deferred::{DEFERRED, DeferredAnswers, OWN, Work};
use crate::faults::{ActiveFaults, AnswerFault, is_generation};
use crate::phase::Phase;
use crate::profile::Profile;
use crate::server::Server;

/// What SD.Next says to a client that calls too often.
const RATE_LIMIT: &str = "127.0.0.1:/sdapi/v1/txt2img: rate limit exceeded";

/// Anything that ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionEnded {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Connection(#[from] std::io::Error),
    #[error(transparent)]
    Path(#[from] http::uri::InvalidUri),
    #[error("an answer referred to deferred work that was claimed before")]
    Claimed,
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
    deferred: DeferredAnswers,
    prefix: String,
    keep_alive: Duration,
    threads: Option<Arc<Semaphore>>,
    /// The latest arrival among the requests that have been answered.
    answered_arrival: Mutex<Option<tokio::time::Instant>>,
}

impl Relay {
    pub(crate) fn new(
        inner: SocketAddr,
        server: Server,
        deferred: DeferredAnswers,
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
            deferred,
            prefix,
            keep_alive,
            threads,
            answered_arrival: Mutex::default(),
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
    ) -> Result<Response<Full<Bytes>>, ConnectionEnded> {
        let arrived = Instant::now();
        let (head, body) = request.into_parts();
        let options = ResponseOptions::of(&head.headers, self.server.profile());
        let body = body.collect().await?.to_bytes();
        if let Some(route) = head.uri.path().strip_prefix(admin::ROOT) {
            let answer = admin::answer(&self.server, &head.method, route, &body).await;
            return Ok(finish(answer, options, arrived.elapsed()).map(Full::new));
        }
        let path = self.without_prefix(&head.uri).filter(|path| self.is_there(path));
        let Some(path) = path else {
            let answer = Answer::detail(StatusCode::NOT_FOUND, "Not Found");
            return Ok(finish(answer, options, arrived.elapsed()).map(Full::new));
        };
        let route = path.split('?').next().unwrap_or_default();
        let faults = self.server.fault_plan().draw(route);
        let poisoned = self.keep_alive_timer(wire);
        tokio::time::sleep(faults.delay).await;
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
        inner.headers_mut().remove(DEFERRED);
        let start = self.server.process().borrow().start;
        let mut response = self.forward(inner).await?;
        if self.server.process().borrow().start != start {
            return Err(ConnectionEnded::Died); // this very request has killed the process
        }

        let number = response.headers_mut().remove(DEFERRED);
        let work = number
            .map(|number| self.deferred.claim(&number).ok_or(ConnectionEnded::Claimed))
            .transpose()?;
        let raised = faults
            .exception
            .as_ref()
            .filter(|_| !is_generation(route))
            .map(|(class, text)| Failure::unexpected(class, text).into_answer(self.server.profile()));
        if let Some(answer) = faults.replacement.clone() {
            response = finish(answer, options, arrived.elapsed());
            response.headers_mut().remove(header::SERVER);
        } else if let Some(answer) = raised {
            response = finish_on(answer, options, arrived, wire);
        } else if let Some(work) = work {
            let answer = tokio::select! {
                answer = self.perform(work, body, &faults) => answer?,
                () = passed(poisoned) => return Err(ConnectionEnded::Fault),
            };
            response = finish_on(answer, options, arrived, wire);
        } else if let Some(own) = response.headers_mut().remove(OWN) {
            decorate(
                &mut response,
                options,
                (own == "timed").then(|| arrived.elapsed()),
            );
        }
        self.note_answer(arrived, wire);
        apply_answer_faults(
            response,
            &faults,
            wire,
            |refused| finish_on(refused, options, arrived, wire),
            self.server.profile(),
        )
        .map(|response| response.map(Full::new))
    }

    fn note_answer(&self, arrived: Instant, wire: &WireControl) {
        wire.note_answer();
        let mut latest = self.answered_arrival.lock();
        *latest = (*latest).max(Some(arrived.into()));
    }

    /// When uvicorn's fault of its keep-alive timer ends the connection of a request that arrives now.
    ///
    /// The fault needs an answer that is not finished: its event loop has sent the body and not the end. It ends what it
    /// has begun before it answers a request that arrived later.
    fn keep_alive_timer(&self, wire: &WireControl) -> Option<tokio::time::Instant> {
        let within = self.server.fault_plan().keep_alive_timer()?;
        let last = wire.last_answer().filter(|last| last.elapsed() < within)?;
        let is_finished = self.answered_arrival.lock().is_some_and(|arrival| arrival > last);
        (!is_finished).then(|| last + self.keep_alive)
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
        self.server.process().borrow().phase != Phase::PageOnly || !path.starts_with("/sdapi/")
    }

    async fn forward(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, ConnectionEnded> {
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
    async fn perform(
        &self,
        work: Work,
        body: Bytes,
        faults: &ActiveFaults,
    ) -> Result<Answer, ConnectionEnded> {
        let server = self.server.clone();
        let job = work(body, faults.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = server.death() => None,
                answer = job => Some(answer),
            }
        });
        let done = tokio::select! {
            done = task => done,
            () = faults.cut.notified() => return Err(ConnectionEnded::Fault),
        };
        match done {
            Ok(answer) => answer.ok_or(ConnectionEnded::Died),
            Err(panic) => Ok(
                Failure::unexpected("RuntimeError", format!("mock-webui: {panic}"))
                    .into_answer(self.server.profile()),
            ),
        }
    }
}

/// The response of an answer, and the end of the connection where the real server ends it.
fn finish_on(
    answer: Answer,
    options: ResponseOptions,
    arrived: Instant,
    wire: &WireControl,
) -> Response<Bytes> {
    if answer.closes_connection {
        wire.set(WireFault::CloseAfterAnswer { sent: false });
    }
    finish(answer, options, arrived.elapsed())
}

/// Completes at this moment; without one, never.
async fn passed(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Applies the faults of a finished answer.
fn apply_answer_faults(
    mut response: Response<Bytes>,
    faults: &ActiveFaults,
    wire: &WireControl,
    finish: impl Fn(Answer) -> Response<Bytes>,
    profile: Profile,
) -> Result<Response<Bytes>, ConnectionEnded> {
    for fault in &faults.on_answer {
        // Headers take about 200 bytes; an answer shorter than that ends inside them.
        let half = response.body().len().div_ceil(2);
        match fault {
            AnswerFault::Drop => return Err(ConnectionEnded::Fault),
            AnswerFault::RateLimit => {
                let refused = Failure::deliberate(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT);
                response = finish(refused.into_answer(profile));
            }
            AnswerFault::HalfJson => {
                let first_half = response.body().slice(..response.body().len() / 2);
                *response.body_mut() = first_half;
            }
            AnswerFault::CutBody => wire.set(WireFault::CutAfter(half)),
            AnswerFault::StallBody => wire.set(WireFault::StallAfter(half)),
            AnswerFault::HalfClose => wire.set(WireFault::HalfCloseAfter(half)),
            AnswerFault::Garbage => wire.set(WireFault::Garbage),
            AnswerFault::SlowDrip { bytes, every } => wire.set(WireFault::Drip {
                bytes: *bytes,
                every: *every,
                pause: None,
            }),
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
