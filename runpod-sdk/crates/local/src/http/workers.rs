//! The operations that workers call (`docs/protocol/worker-protocol.md` §5–§10).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use runpod_protocol::{JobId, key, query};
use tokio::sync::Notify;

use super::body::{self, BodyError};
use super::query::Parameters;
use super::refused::{Answer, Refused};
use crate::endpoint::Endpoint;
use crate::faults::FaultKind;
use crate::json::{JsonWriter, Sent, job_view};
use crate::received::{WorkerReport, stream_chunk};
use crate::store::{Lease, Store, Verdict, WorkerId};
use crate::violation::ViolationKind;

/// One call of a worker.
pub(crate) struct WorkerCall<'a> {
    pub(crate) endpoint: &'a Arc<Endpoint>,
    pub(crate) uri: &'a Uri,
    pub(crate) worker: WorkerId,
}

impl WorkerCall<'_> {
    pub(crate) async fn take(self) -> Response {
        let leases = self.lease(1).await;
        let mut json = JsonWriter::default();
        match leases.first() {
            Some(lease) => job_view::for_worker(&mut json, lease),
            None => return StatusCode::NO_CONTENT.into_response(),
        }
        self.hand_over(json, leases)
    }

    pub(crate) async fn take_batch(self) -> Response {
        let leases = self.lease(Parameters::of(self.uri).batch_size()).await;
        if leases.is_empty() {
            return StatusCode::NO_CONTENT.into_response();
        }
        let mut json = JsonWriter::default();
        json.text("[");
        for lease in &leases {
            json.comma();
            job_view::for_worker(&mut json, lease);
        }
        json.text("]");
        self.hand_over(json, leases)
    }

    /// Waits for up to `at_most` jobs. While it waits nothing is taken, so a worker that hangs up loses nothing.
    async fn lease(&self, at_most: usize) -> Vec<Lease> {
        let busy = Parameters::of(self.uri).job_in_progress;
        let busy = busy.as_deref();
        let _open = OpenTake::begin(self, busy != Some("0"));
        let settings = &self.endpoint.settings;
        let hold = match busy {
            Some("1") => settings.take_hold.min(settings.busy_take_hold),
            _ => settings.take_hold,
        };
        let until = self.endpoint.now().saturating_add(hold);
        if self.endpoint.with(|store, _| store.is_replaced(&self.worker)) {
            // RunPod would end it. It waits for nothing here, and takes no other worker's turn.
            let never = Notify::new();
            let _: Option<()> = self.endpoint.wait_for(&never, until, |_, _| None).await;
            return Vec::new();
        }
        let leases = self.endpoint.wait_for(&self.endpoint.work, until, |store, now| {
            let leases = store.take(now, &self.worker, at_most);
            let answer = !leases.is_empty() || store.is_replaced(&self.worker);
            answer.then_some(leases)
        });
        let leases = leases.await.unwrap_or_default();
        for lease in leases.iter().filter(|lease| !lease.again) {
            if self.endpoint.faults.strikes(FaultKind::DeliverRunningJobTwice) {
                self.endpoint.with(|store, _| store.deliver_again(&lease.id));
            }
        }
        leases
    }

    /// Answers with jobs that go back to the queue if the worker is gone before it has been sent all of them.
    fn hand_over(self, json: JsonWriter, leases: Vec<Lease>) -> Response {
        let (endpoint, worker) = (Arc::clone(self.endpoint), self.worker);
        json.into_ok_then(move |sent| {
            endpoint.with(|store, now| match sent {
                Sent::Whole => store.delivered(&worker, &leases),
                Sent::Cut => store.put_back(now, &worker, &leases),
            });
        })
    }

    pub(crate) async fn stop(self) -> Response {
        let stops_changed = self.endpoint.stops.listen(&self.worker);
        let until = self
            .endpoint
            .now()
            .saturating_add(self.endpoint.settings.stop_hold);
        let stops = self.endpoint.wait_for(&stops_changed, until, |store, now| {
            let stops = store.take_stops(now, &self.worker);
            (!stops.is_empty()).then_some(stops)
        });
        let Some(stops) = stops.await else {
            return StatusCode::NO_CONTENT.into_response();
        };
        let mut json = JsonWriter::default();
        json.text("{").key(key::JOBS_TO_STOP).text("[");
        for id in &stops {
            json.comma().string(id.as_str());
        }
        json.text("]}");
        let (endpoint, worker) = (Arc::clone(self.endpoint), WorkerId::clone(&self.worker));
        json.into_ok_then(move |sent| {
            if sent == Sent::Cut {
                endpoint.with(|store, _| store.put_back_stops(&worker, stops));
            }
        })
    }

    pub(crate) fn ping(self) -> Response {
        let parameters = Parameters::of(self.uri);
        self.endpoint.with(|store, now| {
            if parameters.status.as_deref() == Some(query::UNHEALTHY) {
                let check = parameters.check.unwrap_or_else(|| "unnamed check".to_owned());
                let reason = parameters.reason.unwrap_or_else(|| "no reason given".to_owned());
                store.unhealthy(now, &self.worker, format!("{check}: {reason}"));
            } else {
                let jobs = parameters.job_id.as_deref().unwrap_or_default();
                let jobs: Vec<JobId> = jobs
                    .split(',')
                    .map(str::trim)
                    .filter(|id| !id.is_empty())
                    .map(JobId::from)
                    .collect();
                store.ping(now, &self.worker, &jobs, parameters.runpod_version.as_deref());
            }
        });
        StatusCode::OK.into_response()
    }

    pub(crate) async fn done(self, job: &str, headers: &HeaderMap, body: Body) -> Answer {
        let job = JobId::from(job);
        let body = self.read(&job, headers, body, ViolationKind::TooLarge).await?;
        let report = WorkerReport::parse(&body).map_err(|_| self.malformed(&job))?;
        let accepted = match report {
            WorkerReport::Progress(update) => {
                if let Some(delay) = self.endpoint.faults.strike(delayed_progress) {
                    self.endpoint.pause(delay).await;
                }
                self.endpoint
                    .with(|store, now| store.progress(now, &self.worker, &job, update))
            }
            WorkerReport::Result(result) => {
                if let Some(status) = self.endpoint.faults.strike(|kind| refusal(kind, body.len())) {
                    return Err(Refused::new(status, "a fault on purpose: this result is refused"));
                }
                if self.endpoint.faults.strikes(FaultKind::LoseResult) {
                    return verdict(Verdict::Accepted);
                }
                self.endpoint.with(|store, now| {
                    let accepted = store.finish(now, &self.worker, &job, result);
                    if accepted == Verdict::Accepted
                        && self.endpoint.faults.strikes(FaultKind::DeliverDoneJobTwice)
                    {
                        store.deliver_again(&job);
                    }
                    accepted
                })
            }
        };
        verdict(accepted)
    }

    pub(crate) async fn chunk(self, job: &str, headers: &HeaderMap, body: Body) -> Answer {
        let job = JobId::from(job);
        let limit = self.endpoint.settings.chunk_limit;
        let kind = ViolationKind::ChunkTooLarge;
        let body = self.read(&job, headers, body, kind).await?;
        let output = stream_chunk::parse(&body).map_err(|_| self.malformed(&job))?;
        let chunks = stream_chunk::split(output, limit).ok_or_else(|| self.too_large(&job, limit, kind))?;
        verdict(
            self.endpoint
                .with(|store, now| store.push_chunks(now, &self.worker, &job, chunks)),
        )
    }

    /// Reads a post. One over the limit is a violation of this kind.
    async fn read(
        &self,
        job: &JobId,
        headers: &HeaderMap,
        body: Body,
        too_large: ViolationKind,
    ) -> Result<Bytes, Refused> {
        let limit = self.endpoint.settings.result_limit;
        body::read(headers, body, limit)
            .await
            .map_err(|problem| match problem {
                BodyError::TooLarge => self.too_large(job, limit, too_large),
                BodyError::Broken => Refused::body(problem, limit),
            })
    }

    fn too_large(&self, job: &JobId, limit: usize, kind: ViolationKind) -> Refused {
        self.record(job, kind);
        Refused::too_large(limit)
    }

    fn malformed(&self, job: &JobId) -> Refused {
        self.record(job, ViolationKind::MalformedBody);
        Refused::bad_request("bad request: body: not the JSON object this channel takes")
    }

    fn record(&self, job: &JobId, kind: ViolationKind) {
        self.endpoint
            .with(|store: &mut Store, now| store.record_violation(now, &self.worker, job, kind));
    }
}

/// A take that is held open. The store knows of it for as long as this lives.
struct OpenTake {
    endpoint: Arc<Endpoint>,
    worker: WorkerId,
}

impl OpenTake {
    fn begin(call: &WorkerCall<'_>, says_busy: bool) -> Self {
        let (endpoint, worker) = (Arc::clone(call.endpoint), WorkerId::clone(&call.worker));
        endpoint.with(|store, now| store.worker_asks(now, &worker, says_busy));
        Self { endpoint, worker }
    }
}

impl Drop for OpenTake {
    fn drop(&mut self) {
        self.endpoint
            .with(|store, now| store.worker_asked(now, &self.worker));
    }
}

fn delayed_progress(kind: FaultKind) -> Option<Duration> {
    match kind {
        FaultKind::DelayProgress(delay) => Some(delay),
        _ => None,
    }
}

/// The status that a result of this size is refused with.
fn refusal(kind: FaultKind, bytes: usize) -> Option<StatusCode> {
    match kind {
        FaultKind::RefuseResult { status, from_bytes } if bytes >= from_bytes => {
            StatusCode::from_u16(status).ok()
        }
        _ => None,
    }
}

/// The answer to a post. Workers read its status only.
fn verdict(verdict: Verdict) -> Answer {
    match verdict {
        Verdict::Accepted | Verdict::Discarded => Ok(StatusCode::OK.into_response()),
        Verdict::UnknownJob => Err(Refused::unknown_job()),
        Verdict::Backlog => Err(Refused::too_many("nobody reads this job's chunks")),
    }
}
