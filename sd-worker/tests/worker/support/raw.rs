//! A WebUI that answers with exactly the bytes a test wants.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::soon;
use super::wire::Message;

/// What a test's server got.
pub(crate) type Request = Message;

/// What it does about it.
pub(crate) enum Reply {
    /// Writes these bytes and waits for the next request.
    Answer(Vec<u8>),
    /// Writes these bytes and closes the connection.
    Cut(Vec<u8>),
}

impl Reply {
    /// A whole answer with the usual headers.
    pub(crate) fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::typed(status, "application/json", body)
    }

    pub(crate) fn typed(status: u16, kind: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self::Answer([head.as_bytes(), body].concat())
    }
}

type Later = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Answers = Arc<dyn Fn(Request) -> Later + Send + Sync>;

/// The server. It is always ready and never renders, unless its `txt2img` says otherwise.
pub(crate) struct RawWebUi {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    closed: watch::Sender<usize>,
}

impl RawWebUi {
    /// Answers each txt2img with the next of `replies`; the last one is for all that follow.
    pub(crate) async fn in_turn(replies: impl IntoIterator<Item = fn() -> Reply>) -> Self {
        let replies: Vec<_> = replies.into_iter().collect();
        let turn = Mutex::new(0);
        Self::start(move |request| {
            if request.start() != "POST /sdapi/v1/txt2img" {
                return aside(&request);
            }
            if is_canary(&request.body) {
                return Box::pin(async { Reply::json(200, "{}") });
            }
            let mut turn = turn.lock().unwrap();
            let reply = replies[(*turn).min(replies.len() - 1)];
            *turn += 1;
            Box::pin(async move { reply() })
        })
        .await
    }

    /// Answers every request with what `answers` makes of it.
    pub(crate) async fn start(answers: impl Fn(Request) -> Later + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            closed: watch::Sender::new(0),
        };
        let (requests, answers): (_, Answers) = (server.requests.clone(), Arc::new(answers));
        let closed = server.closed.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let serving = serve(connection, requests.clone(), answers.clone());
                let closed = closed.clone();
                tokio::spawn(async move {
                    serving.await;
                    closed.send_modify(|closed| *closed += 1);
                });
            }
        });
        server
    }

    /// Waits until so many connections have been closed.
    pub(crate) async fn closed(&self, count: usize) {
        let mut closed = self.closed.subscribe();
        soon(closed.wait_for(|closed| *closed >= count)).await.unwrap();
    }

    /// The bodies of the renders that were asked for.
    pub(crate) fn renders(&self) -> Vec<Vec<u8>> {
        let mut renders = self.asked("POST /sdapi/v1/txt2img");
        renders.retain(|body| !is_canary(body));
        renders
    }

    /// The bodies of all requests that start like this.
    pub(crate) fn asked(&self, start: &str) -> Vec<Vec<u8>> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|request| request.start().starts_with(start))
            .map(|request| request.body.clone())
            .collect()
    }
}

/// Whether the worker asks for it itself, to see whether the WebUI is well.
fn is_canary(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains(r#""prompt":"warm-up""#)
}

/// What a server that has nothing special to say answers beside the renders.
pub(crate) fn aside(request: &Request) -> Later {
    let reply = match request.start() {
        "GET /sdapi/v1/sd-models" => Reply::json(200, r#"[{"title": "x"}]"#),
        "POST /sdapi/v1/interrupt" => Reply::json(200, "{}"),
        _ => Reply::json(404, r#"{"detail":"Not Found"}"#),
    };
    Box::pin(async move { reply })
}

async fn serve(mut connection: TcpStream, requests: Arc<Mutex<Vec<Request>>>, answers: Answers) {
    let mut bytes = Vec::new();
    loop {
        while let Some((request, length)) = Message::first(&bytes) {
            bytes.drain(..length);
            requests.lock().unwrap().push(request.clone());
            let (answer, goes_on) = match answers(request).await {
                Reply::Answer(answer) => (answer, true),
                Reply::Cut(answer) => (answer, false),
            };
            if connection.write_all(&answer).await.is_err() || !goes_on {
                return;
            }
        }
        match connection.read_buf(&mut bytes).await {
            Ok(1..) => {}
            _ => return,
        }
    }
}
