//! Jobs as JSON: for clients and for workers.

use std::time::Duration;

use super::body::Json;
use crate::request::JobRequest;
use crate::store::{JobView, Lease, Status};

/// Appends a job object for clients (`docs/protocol/endpoint-api.md` §4): absent fields are left out.
pub(crate) fn for_client(json: &mut Json, job: &JobView) {
    object(json, job, None);
}

/// Appends what a webhook is sent: the job object with its input and the webhook's URL (§8).
pub(crate) fn for_webhook(json: &mut Json, job: &JobView) {
    object(json, job, Some(&job.request));
}

fn object(json: &mut Json, job: &JobView, request: Option<&JobRequest>) {
    // While a job runs, the execution time appears with the first progress update.
    let attempted = !matches!(job.status, Status::InQueue | Status::Cancelled);
    json.text("{");
    if attempted {
        milliseconds(json, "delayTime", job.delay);
    }
    if let Some(error) = &job.error {
        json.key("error").raw(error);
    }
    if attempted {
        milliseconds(json, "executionTime", job.execution);
    }
    json.key("id").string(&job.id);
    if let Some(request) = request {
        json.key("input").raw(&request.input);
    }
    if let Some(output) = &job.output {
        json.key("output").raw(output);
    }
    if job.retries > 0 {
        json.key("retries").text(&job.retries.to_string());
    }
    json.key("status").string(job.status.name());
    if let Some(url) = request.and_then(|request| request.webhook.as_deref()) {
        json.key("webhook").string(url);
    }
    if let Some(worker) = job.worker.as_deref().filter(|_| attempted) {
        json.key("workerId").string(worker);
    }
    json.text("}");
}

fn milliseconds(json: &mut Json, key: &str, span: Option<Duration>) {
    if let Some(span) = span {
        json.key(key).text(&span.as_millis().to_string());
    }
}

/// Appends `{"id", "status"}`: what `/run`, `/cancel` and `/retry` answer.
pub(crate) fn brief(json: &mut Json, id: &str, status: Status) {
    json.text("{")
        .key("id")
        .string(id)
        .key("status")
        .string(status.name())
        .text("}");
}

/// Appends a job as a worker gets it (`docs/protocol/worker-protocol.md` §5).
pub(crate) fn for_worker(json: &mut Json, lease: &Lease) {
    let request = &lease.request;
    json.text("{")
        .key("id")
        .string(&lease.id)
        .key("input")
        .raw(&request.input);
    if let Some(webhook) = &request.webhook {
        json.key("webhook").string(webhook);
    }
    for (key, value) in [("policy", &request.policy), ("s3Config", &request.s3_config)] {
        if let Some(value) = value {
            json.key(key).raw(value);
        }
    }
    json.text("}");
}

/// Appends a job's entry in the answer of `/requests`: times and sizes, no payloads.
pub(crate) fn for_list(json: &mut Json, job: &JobView) {
    let length = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
    json.text("{")
        .key("id")
        .string(&job.id)
        .key("status")
        .string(job.status.name());
    milliseconds(json, "submittedAt", Some(job.submitted));
    milliseconds(json, "delayTime", job.delay);
    milliseconds(json, "executionTime", job.execution);
    for (key, number) in [
        ("retries", job.retries as usize),
        ("inputBytes", job.request.input.len()),
        ("outputBytes", length(&job.output) + length(&job.error)),
        ("unreadChunks", job.unread_chunks),
    ] {
        json.key(key).text(&number.to_string());
    }
    if let Some(worker) = &job.worker {
        json.key("workerId").string(worker);
    }
    json.key("lowPriority")
        .text(if job.request.low_priority { "true" } else { "false" })
        .text("}");
}
