//! The operations that clients call (`docs/protocol/endpoint-api.md` §2).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Uri};
use runpod_protocol::{JobId, JobStatus, key};
use uuid::Uuid;

use super::body;
use super::query::Parameters;
use super::refused::{Answer, Refused};
use crate::endpoint::Endpoint;
use crate::json::{JsonWriter, Sent, job_view};
use crate::received::ReceivedJob;
use crate::store::{ChunkPage, JobView, NotRetried, Origin, Store, StoreFull};

/// How long an empty poll of `/stream` is held when the request does not say.
const STREAM_HOLD: Duration = Duration::from_secs(1);
/// The most bytes of a `/runsync` body (`docs/protocol/endpoint-api.md` §3).
const RUN_SYNC_LIMIT: usize = 20 * 1024 * 1024;
/// Entries `/requests` lists when the request does not say.
const LISTED: usize = 100;

/// One call of a client.
#[derive(Clone, Copy)]
pub(crate) struct ClientCall<'a> {
    pub(crate) endpoint: &'a Arc<Endpoint>,
    pub(crate) uri: &'a Uri,
}

impl ClientCall<'_> {
    pub(crate) async fn run(self, headers: &HeaderMap, body: Body) -> Answer {
        let id = self.submit(Origin::Run, headers, body).await?;
        Ok(brief(&id, &JobStatus::InQueue))
    }

    pub(crate) async fn runsync(self, headers: &HeaderMap, body: Body) -> Answer {
        let wait = self.wait()?;
        let id = self.submit(Origin::RunSync, headers, body).await?;
        full(self.ended(&id, wait).await)
    }

    /// Runs a job to its end and answers as its worker did: `{"output": …}` or `{"error": …}`.
    pub(crate) async fn realtime(self, headers: &HeaderMap, body: Body) -> Answer {
        let id = self.submit(Origin::RunSync, headers, body).await?;
        let view = self
            .ended(&id, Duration::MAX)
            .await
            .ok_or_else(Refused::unknown_job)?;
        let mut json = JsonWriter::default();
        json.text("{");
        for (name, value) in [(key::OUTPUT, &view.output), (key::ERROR, &view.error)] {
            if let Some(value) = value {
                json.key(name).raw(value);
            }
        }
        json.text("}");
        Ok(json.into_ok())
    }

    async fn submit(self, origin: Origin, headers: &HeaderMap, body: Body) -> Result<JobId, Refused> {
        let body = self.read(origin, headers, body).await?;
        self.queue(origin, &body)
    }

    /// Reads the body of a submission.
    pub(super) async fn read(
        self,
        origin: Origin,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Bytes, Refused> {
        let limit = match origin {
            Origin::Run => self.endpoint.settings.run_limit,
            Origin::RunSync => RUN_SYNC_LIMIT,
        };
        body::read(headers, body, limit)
            .await
            .map_err(|problem| Refused::body(problem, limit))
    }

    /// Queues the job that a body describes.
    pub(super) fn queue(self, origin: Origin, body: &Bytes) -> Result<JobId, Refused> {
        let request =
            ReceivedJob::parse(body).map_err(|problem| Refused::job_request(problem.to_string()))?;
        let id = new_id(origin);
        self.endpoint
            .with(|store, now| store.submit(now, &id, origin, request))
            .map_err(|StoreFull| Refused::too_many("the queue is full; try again later"))?;
        Ok(id)
    }

    pub(crate) fn status(self, id: &str) -> Answer {
        let (id, ttl) = (JobId::from(id), Parameters::of(self.uri).ttl()?);
        full(self.endpoint.with(|store, now| {
            if let Some(ttl) = ttl {
                store.set_ttl(now, &id, ttl);
            }
            store.view(now, &id)
        }))
    }

    pub(crate) async fn status_sync(self, id: &str) -> Answer {
        full(self.ended(&id.into(), self.wait()?).await)
    }

    /// The job once it is final, or what it is when the wait runs out; `None` once it is gone.
    async fn ended(self, id: &JobId, wait: Duration) -> Option<JobView> {
        let job_changed = self.endpoint.jobs.listen(id);
        let until = self.endpoint.now().saturating_add(wait);
        let ended = self
            .endpoint
            .wait_for(&job_changed, until, |store, now| match store.view(now, id) {
                Some(view) if !view.status.is_final() => None,
                ended_or_gone => Some(ended_or_gone),
            });
        match ended.await {
            Some(view) => view,
            None => self.endpoint.with(|store, now| store.view(now, id)),
        }
    }

    /// How long `/runsync` and `/status-sync` wait.
    fn wait(self) -> Result<Duration, Refused> {
        let asked = Parameters::of(self.uri).wait()?;
        Ok(asked.unwrap_or(self.endpoint.settings.sync_wait))
    }

    /// Hands out the chunks that wait. An empty poll is held.
    pub(crate) async fn stream(self, id: &str) -> Answer {
        let hold = Parameters::of(self.uri).wait()?.unwrap_or(STREAM_HOLD);
        let id = JobId::from(id);
        let page = next_page(self.endpoint, &id, hold).await;
        let page = page.ok_or_else(Refused::unknown_job)?;
        let mut json = JsonWriter::default();
        json.text("{")
            .key(key::STATUS)
            .string(page.status.as_str())
            .key(key::STREAM)
            .text("[");
        for chunk in page.chunks.values() {
            json.comma().text("{").key(key::OUTPUT).raw(chunk).text("}");
        }
        json.text("]}");
        let (endpoint, id) = (Arc::clone(self.endpoint), JobId::clone(&id));
        Ok(json.into_ok_then(move |sent| {
            if sent == Sent::Cut {
                endpoint.with(|store, _| store.put_back_chunks(&id, page.chunks));
            }
        }))
    }

    pub(crate) fn cancel(self, id: &str) -> Answer {
        match self.endpoint.with(|store, now| store.cancel(now, &id.into())) {
            Some(view) if view.status == JobStatus::Cancelled => Ok(brief(&view.id, &view.status)),
            already_final_or_gone => full(already_final_or_gone),
        }
    }

    pub(crate) fn retry(self, id: &str) -> Answer {
        let id = JobId::from(id);
        match self.endpoint.with(|store, now| store.retry(now, &id)) {
            Ok(()) => Ok(brief(&id, &JobStatus::InQueue)),
            Err(NotRetried::UnknownJob) => Err(Refused::unknown_job()),
            Err(NotRetried::NotFailed(status)) => {
                let text =
                    format!("bad request: the job is {status}; only FAILED and TIMED_OUT jobs are retried");
                Err(Refused::bad_request(text))
            }
        }
    }

    pub(crate) fn purge_queue(self) -> Response {
        let removed = self.endpoint.with(Store::purge);
        let mut json = JsonWriter::default();
        json.text("{")
            .key("removed")
            .text(&removed.to_string())
            .key("status")
            .string("completed")
            .text("}");
        json.into_ok()
    }

    /// Two groups of counters (`docs/protocol/endpoint-api.md` §9). Nothing is created here.
    pub(crate) fn health(self) -> Response {
        let (jobs, workers) = self
            .endpoint
            .with(|store, now| (store.counts(now), store.worker_counts(now)));
        let answer = serde_json::json!({
            "jobs": {
                "completed": jobs.completed,
                "failed": jobs.failed,
                "inProgress": jobs.in_progress,
                "inQueue": jobs.in_queue,
                "retried": jobs.retried,
            },
            "workers": {
                "idle": workers.idle,
                "initializing": 0,
                "ready": workers.ready,
                "running": workers.running,
                "throttled": 0,
                "unhealthy": workers.unhealthy,
            },
        });
        let mut json = JsonWriter::default();
        json.text(&answer.to_string());
        json.into_ok()
    }

    /// The jobs the endpoint knows, newest first, without payloads, and what its workers did against the protocol.
    ///
    /// RunPod documents no shape; this is ours.
    pub(crate) fn requests(self) -> Response {
        let parameters = Parameters::of(self.uri);
        let (jobs, violations) = self
            .endpoint
            .with(|store, now| (store.list(now), store.violations()));
        let wanted = jobs
            .iter()
            .filter(|job| {
                parameters
                    .status
                    .as_deref()
                    .is_none_or(|status| status == job.status.as_str())
            })
            .take(parameters.limit().unwrap_or(LISTED));
        let mut json = JsonWriter::default();
        json.text("{").key("requests").text("[");
        for job in wanted {
            json.comma();
            job_view::for_list(&mut json, job);
        }
        json.text("]").key("violations").text("[");
        for violation in &violations {
            json.comma()
                .text("{")
                .key("at")
                .text(&violation.at.as_millis().to_string());
            json.key("kind")
                .string(&violation.kind.to_string())
                .key("worker")
                .string(&violation.worker);
            if let Some(job) = &violation.job {
                json.key("job").string(job);
            }
            json.text("}");
        }
        json.text("]}");
        json.into_ok()
    }
}

/// The chunks that wait, once there are some or the job is final; what there is when the hold runs out. `None` once the
/// job is gone.
pub(super) async fn next_page(endpoint: &Endpoint, id: &JobId, hold: Duration) -> Option<ChunkPage> {
    let read = |store: &mut Store, now| store.read_chunks(now, id);
    let job_changed = endpoint.jobs.listen(id);
    let until = endpoint.now().saturating_add(hold);
    let filled = endpoint.wait_for(&job_changed, until, |store, now| match read(store, now) {
        Some(page) if page.chunks.is_empty() && !page.status.is_final() => None,
        page_or_gone => Some(page_or_gone),
    });
    match filled.await {
        Some(page) => page,
        None => endpoint.with(read),
    }
}

/// A fresh job id in the form RunPod's have. Clients treat it as opaque.
fn new_id(origin: Origin) -> JobId {
    let uuid = Uuid::new_v4();
    match origin {
        Origin::Run => format!("{uuid}-u1").into(),
        Origin::RunSync => format!("{}{uuid}-u1", JobId::SYNC_PREFIX).into(),
    }
}

fn brief(id: &JobId, status: &JobStatus) -> Response {
    let mut json = JsonWriter::default();
    job_view::brief(&mut json, id, status);
    json.into_ok()
}

fn full(view: Option<JobView>) -> Answer {
    let view = view.ok_or_else(Refused::unknown_job)?;
    let mut json = JsonWriter::default();
    job_view::for_client(&mut json, &view);
    Ok(json.into_ok())
}
