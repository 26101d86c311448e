//! RunPod's worker protocol over HTTP (`docs/protocol/worker-protocol.md` §3–§6, §9, §10).

mod answer;
mod client;
mod redirects;

use std::num::NonZeroUsize;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, trace};

use runpod_protocol::{header, query, route};

use self::answer::{accept, broken, json_body, lacks_operation, refusal};
use self::redirects::{MOST_REDIRECTS, same_again_at};
use super::body::Pieces;
use super::{Platform, PlatformError, Reply, taken};
use crate::job::{Job, JobId, JobReport};
use crate::settings::{Config, Template, WorkerLimits};

pub use self::client::NoClient;
pub(crate) use self::client::client;

/// The longest time for the report of an unfit worker.
const UNFIT_LIMIT: Duration = Duration::from_secs(2);
/// The most characters of its reason.
const LONGEST_REASON: usize = 256;

/// The platform behind the URLs of the environment.
pub(crate) struct HttpPlatform {
    client: Client,
    take: Template,
    batch: Option<Template>,
    /// Whether the platform has turned out to hand out single jobs only.
    without_batch: AtomicBool,
    /// The one report of an answer under another media type than JSON's.
    other_media_type: Once,
    stop: Option<Template>,
    done: Template,
    stream: Option<Template>,
    ping: Option<Template>,
    ping_limit: Duration,
    limits: WorkerLimits,
    worker_id: String,
    protocol_version: String,
}

impl HttpPlatform {
    pub(crate) fn new(config: &Config, limits: WorkerLimits, client: Client) -> Self {
        Self {
            client,
            batch: config.take.for_operation(route::JOB_TAKE_BATCH),
            stop: config.take.for_operation(route::JOB_STOP),
            without_batch: AtomicBool::new(false),
            other_media_type: Once::new(),
            take: config.take.clone(),
            done: config.done.clone(),
            stream: config.stream.clone(),
            ping: config.ping.clone(),
            // A ping that hangs must not delay the next one.
            ping_limit: config.ping_interval,
            limits,
            worker_id: config.worker_id.clone(),
            protocol_version: config.protocol_version.clone(),
        }
    }

    /// Reports to the platform that this worker is unfit. One attempt: the worker exits whether
    /// or not it succeeds (`docs/protocol/worker-protocol.md` §14).
    pub(crate) async fn report_unfit(&self, check: &str, reason: &str) -> Result<(), PlatformError> {
        let template = self
            .ping
            .as_ref()
            .ok_or_else(|| PlatformError::Unavailable("RUNPOD_WEBHOOK_PING is not set".into()))?;
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        let url = template
            .for_worker(&self.worker_id)
            .with(query::STATUS, query::UNHEALTHY)
            .with_text(query::CHECK, check)
            .with_text(query::REASON, &reason)
            .with(query::RUNPOD_VERSION, &self.protocol_version);
        let request = self
            .client
            .request(Method::GET, url.as_str())
            .timeout(UNFIT_LIMIT);
        accept("ping", send("ping", UNFIT_LIMIT, request).await?)
            .await
            .map(drop)
    }

    async fn post(
        &self,
        operation: &'static str,
        template: &Template,
        job: &JobId,
        report: &JobReport,
    ) -> Result<(), PlatformError> {
        let url = template
            .for_job(report.worker().unwrap_or(&self.worker_id), job)
            .with(
                query::IS_STREAM,
                if report.is_stream() { "true" } else { "false" },
            );
        let mut target = url.as_str().to_owned();
        let mut response = self.post_once(operation, &target, job, report).await?;
        for _ in 0..MOST_REDIRECTS {
            let Some(next) = same_again_at(&response) else {
                break;
            };
            let _ = response.bytes().await;
            target = next.into();
            response = self.post_once(operation, &target, job, report).await?;
        }
        trace!(
            operation,
            bytes = report.len(),
            status = response.status().as_u16(),
            "posted"
        );
        if Url::parse(&target).is_ok_and(|posted| posted != *response.url()) {
            return Err(answered_elsewhere(operation, response).await);
        }
        let response = accept(operation, response).await?;
        // The answer's body says nothing. It is read so that the connection can serve again; the
        // result has been accepted whether or not that works.
        let _ = response.bytes().await;
        Ok(())
    }

    async fn post_once(
        &self,
        operation: &'static str,
        url: &str,
        job: &JobId,
        report: &JobReport,
    ) -> Result<Response, PlatformError> {
        let mut request = self
            .client
            .request(Method::POST, url)
            // Not form encoded: the platform's own worker labels its JSON that way.
            .header(CONTENT_TYPE, header::FORM)
            .header(header::CHARSET, "utf-8")
            .timeout(self.limits.request);
        // An id that a header cannot have is in the URL all the same.
        if let Ok(id) = HeaderValue::from_str(&job.shown()) {
            request = request.header(header::REQUEST_ID, id);
        }
        let body = reqwest::Body::wrap(Pieces::of(report));
        send(operation, self.limits.request, request.body(body)).await
    }

    /// The batch form of the take, if the platform has it.
    fn batch(&self) -> Option<&Template> {
        let known_missing = self.without_batch.load(Ordering::Relaxed);
        self.batch.as_ref().filter(|_| !known_missing)
    }

    /// Asks for at most `at_most` jobs. `None` if the poll ended without an answer.
    async fn ask(
        &self,
        at_most: NonZeroUsize,
        busy: bool,
        give_up: &CancellationToken,
    ) -> Result<Option<Response>, PlatformError> {
        let busy = if busy { "1" } else { "0" };
        let single = self
            .take
            .for_worker(&self.worker_id)
            .with(query::JOB_IN_PROGRESS, busy);
        let Some(batch) = self.batch().filter(|_| at_most.get() > 1) else {
            return self.poll(single.as_str(), give_up).await;
        };
        let batch = batch
            .for_worker(&self.worker_id)
            .with(query::BATCH_SIZE, &at_most.to_string())
            .with(query::JOB_IN_PROGRESS, busy);
        let answer = self.poll(batch.as_str(), give_up).await?;
        if !answer.as_ref().is_some_and(lacks_operation) {
            return Ok(answer);
        }
        let answer = self.poll(single.as_str(), give_up).await?;
        // A platform that has neither form does not know the endpoint.
        if answer.as_ref().is_some_and(|answer| !lacks_operation(answer)) {
            self.without_batch.store(true, Ordering::Relaxed);
            info!("this platform hands out no batches; jobs are taken one by one");
        }
        Ok(answer)
    }

    /// Sends a take. `None` if it was given up, or the platform held it for longer than a poll may last.
    async fn poll(&self, url: &str, give_up: &CancellationToken) -> Result<Option<Response>, PlatformError> {
        let limit = self.limits.poll;
        let sent = tokio::time::timeout(limit, send("take", limit, self.get(url)));
        // The answer's headers are looked for first: once they are here a job may be on its way,
        // and it must not be dropped with the poll.
        tokio::select! {
            biased;
            response = sent => response.map_or(Ok(None), |response| response.map(Some)),
            () = settled(give_up) => Ok(None),
        }
    }

    async fn json(&self, operation: &'static str, response: Response) -> Result<Bytes, PlatformError> {
        json_body(operation, self.limits.request, response, &self.other_media_type).await
    }

    fn get(&self, url: &str) -> RequestBuilder {
        self.client
            .request(Method::GET, url)
            .header(CONTENT_TYPE, header::JSON)
    }
}

impl Platform for HttpPlatform {
    fn take_jobs<'a>(
        &'a self,
        at_most: NonZeroUsize,
        busy: bool,
        give_up: &'a CancellationToken,
    ) -> Reply<'a, Vec<Job>> {
        Box::pin(async move {
            let Some(response) = self.ask(at_most, busy, give_up).await? else {
                return Ok(Vec::new());
            };
            match response.status().as_u16() {
                200 => Ok(taken::jobs(&self.json("take", response).await?)),
                // 400 is what a worker sees while the platform keeps it frozen ("FlashBoot").
                204 | 400 => {
                    debug!(status = response.status().as_u16(), "the platform has no job");
                    let _ = response.bytes().await;
                    Ok(Vec::new())
                }
                _ => Err(refusal("take", response).await),
            }
        })
    }

    fn most_per_take(&self) -> usize {
        if self.batch().is_some() { usize::MAX } else { 1 }
    }

    fn post_chunk<'a>(&'a self, job: &'a JobId, chunk: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move {
            let template = self.stream.as_ref().ok_or_else(|| {
                PlatformError::Unavailable(
                    "RUNPOD_WEBHOOK_POST_STREAM is not set: chunks have nowhere to go".into(),
                )
            })?;
            self.post("stream", template, job, chunk).await
        })
    }

    fn post_report<'a>(&'a self, job: &'a JobId, report: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move { self.post("done", &self.done, job, report).await })
    }

    fn heartbeat<'a>(&'a self, jobs: &'a [JobId]) -> Reply<'a, ()> {
        Box::pin(async move {
            let template = self
                .ping
                .as_ref()
                .ok_or_else(|| PlatformError::Unavailable("RUNPOD_WEBHOOK_PING is not set".into()))?;
            let mut url = template.for_worker(&self.worker_id);
            if !jobs.is_empty() {
                url = url.with_ids(query::JOB_ID, jobs.iter().map(JobId::as_str));
            }
            url = url.with(query::RUNPOD_VERSION, &self.protocol_version);
            let request = self
                .client
                .request(Method::GET, url.as_str())
                .timeout(self.ping_limit);
            let response = send("ping", self.ping_limit, request).await?;
            let response = accept("ping", response).await?;
            let _ = response.bytes().await;
            Ok(())
        })
    }

    fn stop_signals(&self) -> Reply<'_, Vec<JobId>> {
        Box::pin(async move {
            let template = self.stop.as_ref().ok_or_else(|| {
                PlatformError::Unavailable(
                    "the take URL has no /job-take/ in it, so jobs can't be stopped".into(),
                )
            })?;
            let url = template.for_worker(&self.worker_id);
            let limit = self.limits.poll;
            let sent = tokio::time::timeout(limit, send("stop", limit, self.get(url.as_str())));
            let Ok(response) = sent.await else {
                return Ok(Vec::new());
            };
            let response = response?;
            match response.status().as_u16() {
                200 => Ok(taken::jobs_to_stop(&self.json("stop", response).await?)),
                204 => Ok(Vec::new()),
                _ => Err(refusal("stop", response).await),
            }
        })
    }
}

/// Waits for the cancellation, and then until everything that has come by then has been looked at: an
/// answer may have arrived together with the signal that ends the poll, and its job must not be lost.
async fn settled(give_up: &CancellationToken) {
    give_up.cancelled().await;
    // Each turn of the runtime looks at the sockets and lets the connection's task read. One is enough
    // as the client is built today; more cost nothing.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

async fn send(
    operation: &'static str,
    limit: Duration,
    request: RequestBuilder,
) -> Result<Response, PlatformError> {
    request
        .send()
        .await
        .map_err(|error| broken(operation, limit, &error))
}

/// The error of a post that was answered by another URL: after 301, 302 and 303 the client follows with a GET, so the
/// body was not delivered, whatever the answer says.
async fn answered_elsewhere(operation: &'static str, response: Response) -> PlatformError {
    let status = response.status();
    let body = match refusal(operation, response).await {
        PlatformError::Refused { body, .. } => body,
        _ => String::new(),
    };
    PlatformError::Garbled {
        operation,
        reason: format!("the post was redirected and lost its body; {status} came from the other URL"),
        body,
    }
}

#[cfg(test)]
mod tests;
