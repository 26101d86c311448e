//! Server-sent events: a reader gets everything it has not seen, then what is new, as it happens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, header};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::item_json;
use crate::record::Record;

/// Changes that come within this time travel together: a screen shows no more.
const TOGETHER: Duration = Duration::from_millis(40);

/// The state and its changes.
pub(super) fn of_state(record: Arc<Record>, seen: Option<u64>, closing: CancellationToken) -> Response {
    let changes = record.changes();
    respond(changes, closing, seen, move |seen, first| {
        let delta = record.since(*seen);
        let news = first || *seen != Some(delta.version);
        *seen = Some(delta.version);
        news.then(|| message(delta.version, &json(&delta)))
    })
}

/// A job's history.
pub(super) fn of_job(record: Arc<Record>, job: String, seen: usize, closing: CancellationToken) -> Response {
    let changes = record.changes();
    respond(changes, closing, seen, move |seen, first| {
        let items = record.items(&job, *seen).unwrap_or_default();
        *seen += items.len();
        let news = first || !items.is_empty();
        news.then(|| message(*seen as u64, &item_json::list(&items)))
    })
}

/// A worker's lines.
pub(super) fn of_worker(
    record: Arc<Record>,
    worker: String,
    seen: usize,
    closing: CancellationToken,
) -> Response {
    let changes = record.changes();
    respond(changes, closing, seen, move |seen, first| {
        let (lines, next) = record.lines(&worker, *seen);
        *seen = next;
        let news = first || !lines.is_empty();
        news.then(|| message(next as u64, &json(&lines)))
    })
}

/// The webhooks in the inbox.
pub(super) fn of_inbox(record: Arc<Record>, seen: usize, closing: CancellationToken) -> Response {
    let changes = record.changes();
    respond(changes, closing, seen, move |seen, first| {
        let (webhooks, next) = record.webhooks(*seen);
        *seen = next;
        let entries: Vec<_> = webhooks
            .iter()
            .map(|(at, body)| format!(r#"{{"at":{at},"body":{body}}}"#))
            .collect();
        let news = first || !entries.is_empty();
        news.then(|| message(next as u64, &format!("[{}]", entries.join(","))))
    })
}

fn json(value: &impl Serialize) -> String {
    // Numbers, texts and lists of them always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

/// One event. JSON has line ends outside of its texts only, where they mean nothing.
fn message(id: u64, json: &str) -> Bytes {
    let json = json.replace(['\r', '\n'], " ");
    Bytes::from(format!("id: {id}\ndata: {json}\n\n"))
}

/// A response that asks `next` for an event now and after every change.
fn respond<S: Send + 'static>(
    changes: watch::Receiver<u64>,
    closing: CancellationToken,
    seen: S,
    next: impl FnMut(&mut S, bool) -> Option<Bytes> + Send + 'static,
) -> Response {
    let events = news(changes, seen, next).take_until(closing.cancelled_owned());
    let mut response = Response::new(Body::from_stream(events.map(Ok::<_, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn news<S>(
    changes: watch::Receiver<u64>,
    seen: S,
    next: impl FnMut(&mut S, bool) -> Option<Bytes>,
) -> impl Stream<Item = Bytes> {
    stream::unfold(
        (changes, seen, true, next),
        async |(mut changes, mut seen, mut first, mut next)| {
            loop {
                if !first {
                    changes.changed().await.ok()?;
                    tokio::time::sleep(TOGETHER).await;
                }
                // What comes from here on is a change of its own.
                changes.mark_unchanged();
                if let Some(event) = next(&mut seen, std::mem::take(&mut first)) {
                    return Some((event, (changes, seen, first, next)));
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_gets_what_it_missed_at_once_and_then_changes_together() {
        let (change, changes) = watch::channel(5);
        let events = news(changes, 0, |seen, first| {
            *seen += 1;
            Some(message(*seen, if first { "\"all\"" } else { "\"new\"" }))
        });
        tokio::pin!(events);
        assert_eq!(events.next().await.unwrap(), "id: 1\ndata: \"all\"\n\n");
        change.send_replace(6);
        change.send_replace(7);
        assert_eq!(events.next().await.unwrap(), "id: 2\ndata: \"new\"\n\n");
        let more = tokio::time::timeout(Duration::from_mins(1), events.next()).await;
        assert!(more.is_err(), "nothing is new");
        drop(change);
        assert_eq!(events.next().await, None);
    }

    #[test]
    fn an_event_is_one_line_whatever_json_it_holds() {
        assert_eq!(message(1, "{\r\n \"a\":\n1}"), "id: 1\ndata: {   \"a\": 1}\n\n");
    }
}
