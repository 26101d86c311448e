//! The answer of a request from the reports of its job: at once, or chunk by chunk.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::json_response::json_response;
use super::refused::{self, Refused};
use super::request_queue::{Event, Ticket};
use crate::job::JobReport;

/// The longest silence of a stream of events; after it a comment keeps the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The form of the answer of a handler that streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON text: the list of all chunks.
    Whole,
    /// Server-sent events.
    Events,
    /// One JSON object a line.
    Lines,
}

/// A job's end, with the chunks before it.
struct Ended {
    report: JobReport,
    chunks: Vec<Bytes>,
    waited: Duration,
    ran: Duration,
}

impl Ended {
    async fn of(ticket: &mut Ticket) -> Result<Self, Refused> {
        let mut chunks = Vec::new();
        loop {
            match ticket.next().await.ok_or_else(Refused::gone)? {
                Event::Progress(_) => {}
                Event::Chunk(report) => chunks.push(report.payload().clone()),
                Event::End { report, waited, ran } => {
                    return Ok(Self {
                        report,
                        chunks,
                        waited,
                        ran,
                    });
                }
            }
        }
    }

    /// The output: the list of all chunks of a handler that streams.
    fn output(&self) -> Bytes {
        if !self.report.is_stream() {
            return self.report.payload().clone();
        }
        let mut list = b"[".to_vec();
        for (at, chunk) in self.chunks.iter().enumerate() {
            if at > 0 {
                list.push(b',');
            }
            list.extend_from_slice(chunk);
        }
        list.push(b']');
        list.into()
    }
}

/// The body of a result post, with a stream's chunks as its output.
pub(super) async fn result(mut ticket: Ticket) -> Result<Response, Refused> {
    let ended = Ended::of(&mut ticket).await?;
    let mut pieces = ended.report.pieces().to_vec();
    if !ended.report.is_failure() && pieces.len() > 1 {
        pieces[1] = ended.output();
    }
    Ok(json_response(StatusCode::OK, whole(&pieces)))
}

/// The answer of RunPod's endpoint API to `/runsync`.
pub(super) async fn status(mut ticket: Ticket, worker_id: &str) -> Result<Response, Refused> {
    let ended = Ended::of(&mut ticket).await?;
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (status, key, value) = if ended.report.is_failure() {
        ("FAILED", "error", ended.report.payload().clone())
    } else {
        ("COMPLETED", "output", ended.output())
    };
    let start = format!(
        "{{\"delayTime\": {}, \"executionTime\": {}, \"id\": {}, \"status\": \"{status}\", \"workerId\": {}, \"{key}\": ",
        millis(ended.waited),
        millis(ended.ran),
        Value::from(ticket.id().as_str()),
        Value::from(worker_id),
    );
    Ok(json_response(
        StatusCode::OK,
        whole(&[start.into(), value, Bytes::from_static(b"}")]),
    ))
}

/// The output itself; the status shows a failure.
pub(super) async fn output(mut ticket: Ticket, form: Form) -> Result<Response, Refused> {
    if form == Form::Whole {
        let ended = Ended::of(&mut ticket).await?;
        if ended.report.is_failure() {
            return Ok(failure(&ended.report));
        }
        return Ok(json_response(StatusCode::OK, whole(&[ended.output()])));
    }
    // The head waits for the first event, so that a failure before it still sets the status.
    let first = ticket.next().await.ok_or_else(Refused::gone)?;
    if let Event::End { report, .. } = &first
        && report.is_failure()
    {
        return Ok(failure(report));
    }
    let mut response = Response::new(pieces(ticket, first, form));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(match form {
            Form::Events => "text/event-stream",
            Form::Lines | Form::Whole => "application/x-ndjson",
        }),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn failure(report: &JobReport) -> Response {
    refused::failed(&error_of(report))
}

/// The error of §7 without the quotes around it.
fn error_of(report: &JobReport) -> String {
    serde_json::from_slice(report.payload()).unwrap_or_else(|_| "{}".to_owned())
}

fn whole(pieces: &[Bytes]) -> Body {
    Body::from(pieces.concat())
}

/// A body that is written while the job runs. Dropping it cancels the job.
fn pieces(ticket: Ticket, first: Event, form: Form) -> Body {
    let steps = stream::unfold(Some((ticket, Some(first))), move |state| async move {
        let (mut ticket, first) = state?;
        let event = match first {
            Some(first) => Some(first),
            None => match tokio::time::timeout(KEEP_ALIVE, ticket.next()).await {
                Ok(event) => event,
                Err(_) if form == Form::Events => {
                    let alive = Bytes::from_static(b": still working\n\n");
                    return Some((Ok::<_, Infallible>(alive), Some((ticket, None))));
                }
                Err(_) => ticket.next().await,
            },
        };
        let over = matches!(event, None | Some(Event::End { .. }));
        let text = match form {
            Form::Events => as_event(event.as_ref()),
            Form::Lines | Form::Whole => as_line(event.as_ref()),
        };
        Some((Ok(text.into()), (!over).then_some((ticket, None))))
    });
    Body::from_stream(steps)
}

/// One server-sent event. Chunks have no name; `progress`, `end` and `error` do.
fn as_event(event: Option<&Event>) -> String {
    let named = |name: &str, data: &str| format!("event: {name}\ndata: {data}\n\n");
    match event {
        Some(Event::Chunk(report)) => format!("data: {}\n\n", one_line(report.payload())),
        Some(Event::Progress(report)) => named("progress", &one_line(report.payload())),
        Some(Event::End { report, .. }) if report.is_failure() => named("error", &error_of(report)),
        // Its chunks were sent.
        Some(Event::End { report, .. }) if report.is_stream() => named("end", "null"),
        Some(Event::End { report, .. }) => named("end", &one_line(report.payload())),
        None => named("error", &gone()),
    }
}

/// One line: `{"output": …}` for a chunk or result, with `"status": "IN_PROGRESS"` for progress, or `{"error": {…}}`.
fn as_line(event: Option<&Event>) -> String {
    match event {
        Some(Event::Progress(report)) => format!(
            "{{\"status\": \"IN_PROGRESS\", \"output\": {}}}\n",
            one_line(report.payload())
        ),
        Some(Event::End { report, .. }) if report.is_failure() => {
            format!("{{\"error\": {}}}\n", error_of(report))
        }
        // Its chunks were sent.
        Some(Event::End { report, .. }) if report.is_stream() => String::new(),
        Some(Event::Chunk(report) | Event::End { report, .. }) => {
            format!("{{\"output\": {}}}\n", one_line(report.payload()))
        }
        None => format!("{{\"error\": {}}}\n", gone()),
    }
}

fn gone() -> String {
    json!({
        "code": "WORKER_STOPPED",
        "error_message": "the worker was stopped before the job was done",
        "retryable": true,
    })
    .to_string()
}

/// JSON without line breaks: between its words they are blanks, and inside of texts there are none.
fn one_line(json: &Bytes) -> String {
    String::from_utf8_lossy(json).replace(['\n', '\r'], " ")
}
