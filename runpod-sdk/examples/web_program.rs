//! A web program of one's own on a load-balancing endpoint: plain answers, server-sent events, a WebSocket, and a handler
//! at `POST /`. A program without a handler begins with `Worker::serving(routes)`.
//!
//! ```text
//! cargo run --example web_program --features http-modes
//! curl -s localhost:8000/ping -w '%{http_code}'
//! curl -s localhost:8000/models/tiny
//! curl -sN localhost:8000/spell/hello
//! websocat ws://localhost:8000/chat
//! curl -s localhost:8000/ -d '"hello"'
//! ```
//!
//! One job for the handler, without a server and behind a queue:
//!
//! ```text
//! cargo run --example web_program --features http-modes -- --test_input '{"input": "hello"}'
//! cargo run --example web_program --features http-modes,local-server -- \
//!     --rp_serve_api --test_input '{"input": "hello"}'
//! ```

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::{Stream, StreamExt, stream};
use runpod_sdk::prelude::*;
use runpod_sdk::web::Draining;

/// Stands for some gigabytes of weights.
#[derive(Clone)]
struct Model {
    name: Arc<str>,
}

impl Model {
    /// Until this has ended `/ping` answers 204, and requests are refused with 503.
    async fn load() -> std::io::Result<Self> {
        tokio::task::yield_now().await;
        let name = std::env::var("MODEL").unwrap_or_else(|_| "tiny".to_owned());
        Ok(Self { name: name.into() })
    }

    fn shout(&self, text: &str) -> String {
        format!("{} says: {}", self.name, text.to_uppercase())
    }
}

async fn describe(Path(name): Path<String>, Shared(model): Shared<Model>) -> Response {
    if *name == *model.name {
        format!("the model {name} is loaded").into_response()
    } else {
        (StatusCode::NOT_FOUND, "there is no such model").into_response()
    }
}

async fn spell(Path(text): Path<String>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let letters: Vec<char> = text.chars().collect();
    Sse::new(stream::iter(letters).map(|letter| Ok(Event::default().data(letter.to_string()))))
}

async fn chat(upgrade: WebSocketUpgrade, draining: Draining, Shared(model): Shared<Model>) -> Response {
    upgrade.on_upgrade(move |socket| talk(socket, draining, model))
}

/// Answers each message, until the client or the worker goes.
async fn talk(mut socket: WebSocket, draining: Draining, model: Model) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = draining.started() => {
                let _ = socket.send(Message::text("goodbye")).await;
                return;
            }
        };
        let Some(Ok(Message::Text(text))) = message else {
            return;
        };
        let answer = model.shout(&text);
        if socket.send(Message::text(answer)).await.is_err() {
            return;
        }
    }
}

#[handler]
async fn shout(text: String, State(model): State<Model>) -> JobResult<String> {
    Ok(model.shout(&text))
}

fn routes(model: Model) -> Router {
    Router::new()
        .route("/models/{name}", get(describe))
        .route("/spell/{text}", get(spell))
        .route("/chat", any(chat))
        .with_state(model)
}

fn main() -> std::process::ExitCode {
    let worker = shout::worker().routes(routes).state_with(Model::load);
    runpod_sdk::start(worker.load_balancing())
}
