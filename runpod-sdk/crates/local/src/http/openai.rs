//! `/openai/…`: OpenAI's API in front of jobs (`docs/protocol/endpoint-api.md` §2 and §11).
//!
//! A request becomes a job whose input is `{"openai_route": …, "openai_input": …}`. What the worker streams or returns is
//! the answer: as server-sent events if the request says `"stream": true`, else as JSON. The client does not learn the
//! job's id, so the job is cancelled when the client hangs up.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, Method, StatusCode, header};
use runpod_protocol::{JobId, JobStatus, error_key, json, key};
use serde_json::{Map, Value};

use super::clients::{ClientCall, next_page};
use super::refused::{Answer, Refused};
use crate::endpoint::Endpoint;
use crate::json::JsonWriter;
use crate::store::{ChunkPage, JobView, Origin};

/// The last event of a stream.
const DONE: &str = "[DONE]";

impl ClientCall<'_> {
    pub(super) async fn openai(
        self,
        route: &str,
        method: &Method,
        headers: &HeaderMap,
        body: Body,
    ) -> Answer {
        let body = self.read(Origin::RunSync, headers, body).await?;
        let body = match body.trim_ascii() {
            b"" if method == Method::GET => Bytes::from_static(b"{}"),
            _ => body,
        };
        if serde_json::from_slice::<Map<String, Value>>(&body).is_err() {
            return Err(Refused::bad_request("bad request: body: not a JSON object"));
        }
        let streams = json::field(&body, "stream") == Some("true");
        let mut request = JsonWriter::default();
        request.text("{").key(key::INPUT).text("{");
        request.key(key::OPENAI_ROUTE).string(route);
        request.key(key::OPENAI_INPUT).raw(&body).text("}}");
        let request: Vec<Bytes> = request.into_parts().into();
        let job = OpenAiJob {
            id: self.queue(Origin::RunSync, &Bytes::from(request.concat()))?,
            endpoint: Arc::clone(self.endpoint),
        };
        if streams {
            job.events().await
        } else {
            job.answer().await
        }
    }
}

/// The job behind a request. It is cancelled when this is dropped before its end.
struct OpenAiJob {
    endpoint: Arc<Endpoint>,
    id: JobId,
}

impl OpenAiJob {
    async fn page(&self) -> Result<ChunkPage, Refused> {
        next_page(&self.endpoint, &self.id, Duration::MAX)
            .await
            .ok_or_else(Refused::unknown_job)
    }

    /// The job, and the problem in OpenAI's form if it has ended otherwise than completed.
    fn ended(&self) -> Result<(JobView, Option<(StatusCode, Value)>), Refused> {
        let view = self.endpoint.with(|store, now| store.view(now, &self.id));
        let view = view.ok_or_else(Refused::unknown_job)?;
        let problem = (view.status != JobStatus::Completed).then(|| problem(&view));
        Ok((view, problem))
    }

    /// One JSON value: what the worker streamed, or else what it returned.
    async fn answer(self) -> Answer {
        let mut chunks: Vec<Bytes> = Vec::new();
        loop {
            let page = self.page().await?;
            chunks.extend(page.chunks.into_values());
            if page.status.is_final() {
                break;
            }
        }
        let (view, problem) = self.ended()?;
        if let Some((status, problem)) = problem {
            return Ok(json_response(status, problem.to_string().into()));
        }
        let value = match chunks.len() {
            0 => view
                .output
                .as_ref()
                .map_or_else(|| Bytes::from_static(b"null"), only_element),
            1 => chunks.remove(0),
            _ => list(&chunks),
        };
        Ok(json_response(StatusCode::OK, value))
    }

    /// Server-sent events, each chunk as it comes. A job that fails before its first chunk is answered with its error.
    async fn events(self) -> Answer {
        let first = self.page().await?;
        if first.chunks.is_empty()
            && let Some((status, problem)) = self.ended()?.1
        {
            return Ok(json_response(status, problem.to_string().into()));
        }
        let events = EventStream {
            job: self,
            ready: VecDeque::new(),
            streamed: false,
            done: false,
            ended: false,
        };
        let body = Body::from_stream(events.from(first));
        Ok((
            [
                (header::CONTENT_TYPE, "text/event-stream"),
                (header::CACHE_CONTROL, "no-cache"),
            ],
            body,
        )
            .into_response())
    }
}

impl Drop for OpenAiJob {
    fn drop(&mut self) {
        self.endpoint.with(|store, now| store.cancel(now, &self.id));
    }
}

/// The events of one answer.
struct EventStream {
    job: OpenAiJob,
    ready: VecDeque<Bytes>,
    /// Whether the worker has streamed anything.
    streamed: bool,
    /// Whether the worker has sent the last event itself.
    done: bool,
    ended: bool,
}

impl EventStream {
    fn from(mut self, first: ChunkPage) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        self.add(first);
        stream::unfold(self, |mut events| async move {
            loop {
                if let Some(event) = events.ready.pop_front() {
                    return Some((Ok(event), events));
                }
                if events.ended {
                    return None;
                }
                match events.job.page().await {
                    Ok(page) => events.add(page),
                    Err(_) => events.ended = true,
                }
            }
        })
    }

    fn add(&mut self, page: ChunkPage) {
        for chunk in page.chunks.into_values() {
            self.streamed = true;
            self.push(&chunk);
        }
        if page.status.is_final() {
            self.ended = true;
            self.end();
        }
    }

    fn push(&mut self, chunk: &Bytes) {
        let event = event(chunk);
        self.done = self.done || event.trim_end().ends_with(DONE);
        self.ready.push_back(event.into());
    }

    fn end(&mut self) {
        let Ok((view, problem)) = self.job.ended() else {
            return;
        };
        match problem {
            Some((_, problem)) => self.ready.push_back(format!("data: {problem}\n\n").into()),
            None => {
                // A handler that does not stream has its output in one event.
                if let Some(output) = view.output.filter(|_| !self.streamed) {
                    self.push(&only_element(&output));
                }
                if !self.done {
                    self.ready.push_back(format!("data: {DONE}\n\n").into());
                }
            }
        }
    }
}

/// A chunk as an event. A text that is one already, as vLLM's are, stays as it is.
fn event(chunk: &Bytes) -> String {
    let Ok(text) = serde_json::from_slice::<String>(chunk) else {
        // Between the tokens of a JSON value a line's end is only space.
        return format!(
            "data: {}\n\n",
            String::from_utf8_lossy(chunk).replace(['\r', '\n'], " ")
        );
    };
    if ["data:", "event:", "id:", ":"]
        .iter()
        .any(|field| text.starts_with(field))
    {
        return format!("{}\n\n", text.trim_end());
    }
    let lines: Vec<String> = text.lines().map(|line| format!("data: {line}\n")).collect();
    lines.concat() + "\n"
}

/// The element of a list of one, which is how an aggregating handler returns a single value; any other value as it is.
fn only_element(output: &Bytes) -> Bytes {
    match serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(output) {
        Ok(elements) if elements.len() == 1 => json::slice(output, elements[0]),
        _ => Bytes::clone(output),
    }
}

fn list(chunks: &[Bytes]) -> Bytes {
    let mut json = JsonWriter::default();
    json.text("[");
    for chunk in chunks {
        json.comma().raw(chunk);
    }
    json.text("]");
    let parts: Vec<Bytes> = json.into_parts().into();
    parts.concat().into()
}

/// A failed job as OpenAI's API reports an error. A user's mistake is a 400.
fn problem(view: &JobView) -> (StatusCode, Value) {
    let text = view
        .error
        .as_ref()
        .and_then(|error| serde_json::from_slice::<String>(error).ok());
    let text = text.unwrap_or_else(|| format!("the job ended as {}", view.status));
    let record: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    let field = |name| record.get(name).and_then(Value::as_str);
    let (status, kind) = match field(error_key::CLASS) {
        Some("user") => (StatusCode::BAD_REQUEST, "invalid_request_error"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    };
    let message = field(error_key::ERROR_MESSAGE).unwrap_or(&text);
    let error =
        serde_json::json!({"message": message, "type": kind, "param": null, "code": field(error_key::CODE)});
    (status, serde_json::json!({ "error": error }))
}

fn json_response(status: StatusCode, body: Bytes) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, runpod_protocol::header::JSON)],
        body,
    )
        .into_response()
}
