//! Jobs as JSON: what `/status`, a webhook, a take and the list of requests show of a job.
//!
//! A field of the answer to `/status` is written in [`write_fields`]; its value comes from [`JobView`].

use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobId, JobStatus, key};

use super::writer::JsonWriter;
use crate::received::ReceivedJob;
use crate::store::{JobView, Lease};

/// Appends the job object that `/status` answers (`docs/protocol/endpoint-api.md` §4). Absent fields are left out.
pub(crate) fn for_client(json: &mut JsonWriter, job: &JobView) {
    write_fields(json, job, None);
}

/// Appends what a webhook is sent: the job object with its input and the webhook's URL (§8).
pub(crate) fn for_webhook(json: &mut JsonWriter, job: &JobView) {
    write_fields(json, job, Some(&job.request));
}

/// Appends the job object, and with `request` its input and the URL of its webhook. The keys are in the order of the
/// alphabet, as the platform writes them.
fn write_fields(json: &mut JsonWriter, job: &JobView, request: Option<&ReceivedJob>) {
    // While a job runs, the execution time appears with the first progress update.
    let attempted = !matches!(job.status, JobStatus::InQueue | JobStatus::Cancelled);
    json.text("{");
    if attempted {
        milliseconds(json, key::DELAY_TIME, job.delay);
    }
    if let Some(error) = &job.error {
        json.key(key::ERROR).raw(error);
    }
    if attempted {
        milliseconds(json, key::EXECUTION_TIME, job.execution);
    }
    json.key(key::ID).string(job.id.as_str());
    if let Some(request) = request {
        json.key(key::INPUT).raw(&request.input);
    }
    if let Some(output) = &job.output {
        json.key(key::OUTPUT).raw(output);
    }
    if job.retries > 0 {
        json.key(key::RETRIES).text(&job.retries.to_string());
    }
    json.key(key::STATUS).string(job.status.as_str());
    if let Some(url) = request.and_then(|request| request.webhook.as_deref()) {
        json.key(key::WEBHOOK).string(url);
    }
    if let Some(worker) = job.worker.as_deref().filter(|_| attempted) {
        json.key(key::WORKER_ID).string(worker);
    }
    json.text("}");
}

fn milliseconds(json: &mut JsonWriter, name: &str, span: Option<Duration>) {
    if let Some(span) = span {
        json.key(name).text(&span.as_millis().to_string());
    }
}

/// Appends `{"id", "status"}`: what `/run`, `/cancel` and `/retry` answer.
pub(crate) fn brief(json: &mut JsonWriter, id: &JobId, status: &JobStatus) {
    json.text("{")
        .key(key::ID)
        .string(id.as_str())
        .key(key::STATUS)
        .string(status.as_str())
        .text("}");
}

/// Appends a job as a worker gets it (`docs/protocol/worker-protocol.md` §5).
pub(crate) fn for_worker(json: &mut JsonWriter, lease: &Lease) {
    let request = &lease.request;
    json.text("{")
        .key(key::ID)
        .string(lease.id.as_str())
        .key(key::INPUT)
        .raw(&request.input);
    if let Some(webhook) = &request.webhook {
        json.key(key::WEBHOOK).string(webhook);
    }
    for (name, value) in [
        (key::POLICY, &request.policy),
        (key::S3_CONFIG, &request.s3_config),
    ] {
        if let Some(value) = value {
            json.key(name).raw(value);
        }
    }
    json.text("}");
}

/// Appends a job's entry in the answer of `/requests`: times and sizes, no payloads.
pub(crate) fn for_list(json: &mut JsonWriter, job: &JobView) {
    let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    json.text("{")
        .key(key::ID)
        .string(job.id.as_str())
        .key(key::STATUS)
        .string(job.status.as_str());
    milliseconds(json, "submittedAt", Some(job.submitted));
    milliseconds(json, key::DELAY_TIME, job.delay);
    milliseconds(json, key::EXECUTION_TIME, job.execution);
    for (name, number) in [
        (key::RETRIES, job.retries as usize),
        ("inputBytes", job.request.input.len()),
        ("outputBytes", length(&job.output) + length(&job.error)),
        ("unreadChunks", job.unread_chunks),
    ] {
        json.key(name).text(&number.to_string());
    }
    if let Some(worker) = &job.worker {
        json.key(key::WORKER_ID).string(worker);
    }
    json.key(key::LOW_PRIORITY)
        .text(if job.request.low_priority { "true" } else { "false" })
        .text("}");
}
