//! RunPod's worker protocol over HTTP (`docs/protocol/worker-protocol.md` §3–§6, §9, §10).

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, Url, redirect};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tracing::{debug, trace};

use runpod_protocol::http::{causes, retry_after};
use runpod_protocol::{header, query, route};

use super::body::Pieces;
use super::{Platform, PlatformError, Reply, taken};
use crate::job::{Job, JobId, JobReport};
use crate::settings::{Config, Template, WorkerLimits};

/// The longest time for the report of an unfit worker.
const UNFIT_LIMIT: Duration = Duration::from_secs(2);
/// The most characters of its reason.
const LONGEST_REASON: usize = 256;
/// The most characters of an answer's body in an error message.
const EXCERPT: usize = 300;
/// The most redirects of one request that are followed. The client follows those of GETs itself.
const MOST_REDIRECTS: usize = 10;

/// The platform behind the URLs of the environment.
pub(crate) struct HttpPlatform {
    client: Client,
    take: Template,
    batch: Option<Template>,
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
        if let Ok(id) = HeaderValue::from_str(job.as_str()) {
            request = request.header(header::REQUEST_ID, id);
        }
        let body = reqwest::Body::wrap(Pieces::of(report));
        send(operation, self.limits.request, request.body(body)).await
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
            let url = match &self.batch {
                Some(batch) if at_most.get() > 1 => batch
                    .for_worker(&self.worker_id)
                    .with(query::BATCH_SIZE, &at_most.to_string()),
                _ => self.take.for_worker(&self.worker_id),
            };
            let url = url.with(query::JOB_IN_PROGRESS, if busy { "1" } else { "0" });
            let limit = self.limits.poll;
            let sent = tokio::time::timeout(limit, send("take", limit, self.get(url.as_str())));
            // The answer's headers are looked for first: once they are here a job may be on its way,
            // and it must not be dropped with the poll.
            let response = tokio::select! {
                biased;
                response = sent => match response {
                    Ok(response) => response?,
                    Err(_) => return Ok(Vec::new()),
                },
                () = settled(give_up) => return Ok(Vec::new()),
            };
            match response.status().as_u16() {
                200 if is_json(response.headers()) => Ok(taken::jobs(
                    &read_body("take", self.limits.request, response).await?,
                )),
                // 400 is what a worker sees while the platform keeps it frozen ("FlashBoot").
                200 | 204 | 400 => {
                    debug!(status = response.status().as_u16(), "the platform has no job");
                    let _ = response.bytes().await;
                    Ok(Vec::new())
                }
                _ => Err(refusal("take", response).await),
            }
        })
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
                let ids: Vec<&str> = jobs.iter().map(JobId::as_str).collect();
                url = url.with(query::JOB_ID, &ids.join(","));
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
                200 if is_json(response.headers()) => Ok(taken::jobs_to_stop(
                    &read_body("stop", self.limits.request, response).await?,
                )),
                200 | 204 => Ok(Vec::new()),
                _ => Err(refusal("stop", response).await),
            }
        })
    }
}

/// The HTTP client of one thread. Without TLS the system's certificates are not even looked at.
pub(crate) fn client(config: &Config, limits: WorkerLimits, tls: bool) -> Result<Client, NoClient> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &config.api_key {
        let mut key = HeaderValue::from_str(key.expose_secret()).map_err(|_| NoClient::Key)?;
        key.set_sensitive(true);
        headers.insert(AUTHORIZATION, key);
    }
    runpod_protocol::tls::install_provider();
    let mut builder = Client::builder()
        .default_headers(headers)
        .user_agent(user_agent(config.user_agent_integration.as_deref()))
        .no_proxy()
        // The address of a post names the worker and the job.
        .referer(false)
        .redirect(redirect::Policy::custom(|attempt| {
            if may_follow(attempt.previous(), attempt.url()) {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
        .http1_only()
        .connect_timeout(limits.connect)
        .tcp_keepalive(Duration::from_secs(30));
    if !tls {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(NoClient::Tls)
}

/// The reason for which no HTTP client can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoClient {
    /// The key cannot be sent.
    #[error("RUNPOD_AI_API_KEY holds a character that can't stand in a header")]
    Key,
    /// The system's certificates cannot be used.
    #[error("no HTTPS client: {}; if the image has no certificates, install the package ca-certificates", causes(.0))]
    Tls(#[source] reqwest::Error),
}

fn user_agent(integration: Option<&str>) -> String {
    let mut agent = format!(
        "RunPod-Rust-SDK/{} ({}; {}) Language/Rust {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_RUST_VERSION"),
    );
    if let Some(integration) = integration.filter(|text| text.chars().all(|c| c.is_ascii_graphic())) {
        agent.push_str(" Integration/");
        agent.push_str(integration);
    }
    agent
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

/// Reads a body into one buffer of its declared length.
async fn read_body(
    operation: &'static str,
    limit: Duration,
    mut response: Response,
) -> Result<Bytes, PlatformError> {
    let reading = async {
        let announced = response
            .content_length()
            .and_then(|length| usize::try_from(length).ok())
            .unwrap_or(0);
        // Not trusted beyond 32 MiB: an absurd length must not reserve memory that never fills.
        let mut body = BytesMut::with_capacity(announced.min(32 << 20));
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    };
    match tokio::time::timeout(limit, reading).await {
        Ok(body) => body.map_err(|error: reqwest::Error| broken(operation, limit, &error)),
        Err(_) => Err(PlatformError::TimedOut { operation, limit }),
    }
}

async fn accept(operation: &'static str, response: Response) -> Result<Response, PlatformError> {
    // Redirects have been followed. One that could not be has brought nothing anywhere.
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(refusal(operation, response).await)
    }
}

async fn refusal(operation: &'static str, mut response: Response) -> PlatformError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    let reading = async {
        while body.len() < EXCERPT
            && let Ok(Some(piece)) = response.chunk().await
        {
            body.extend_from_slice(&piece[..piece.len().min(EXCERPT - body.len())]);
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    let body = String::from_utf8_lossy(&body).replace(['\n', '\r'], " ");
    PlatformError::Refused {
        operation,
        status,
        retry_after,
        body,
    }
}

fn broken(operation: &'static str, limit: Duration, error: &reqwest::Error) -> PlatformError {
    if error.is_timeout() && !error.is_connect() {
        PlatformError::TimedOut { operation, limit }
    } else {
        PlatformError::Network {
            operation,
            reason: causes(error),
        }
    }
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

/// The URL of a 307 or 308, to which the same request is sent again if that URL may have it. The client follows
/// neither, because it cannot repeat a body of several pieces. The first server has not accepted the body.
fn same_again_at(response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = response.url().join(location).ok()?;
    may_have(response.url(), &next).then_some(next)
}

/// Whether a request to `here`, with the key and the output of a job, may be sent to `next`: the same scheme, host and
/// port, or https on the same host.
fn may_have(here: &Url, next: &Url) -> bool {
    let plain = next.username().is_empty() && next.password().is_none();
    let origin = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
    let upgrade = (here.scheme(), next.scheme()) == ("http", "https");
    let default_ports = here.port().is_none() && next.port().is_none();
    plain && here.host() == next.host() && (origin(here) == origin(next) || (upgrade && default_ports))
}

/// Whether the client may follow a redirect to `next` after `previous`, with a GET. Nothing leaves https, because the
/// URL names the worker and its jobs. No URL is asked twice.
fn may_follow(previous: &[Url], next: &Url) -> bool {
    let leaves_https =
        previous.last().is_some_and(|last| last.scheme() == "https") && next.scheme() != "https";
    !leaves_https && previous.len() <= MOST_REDIRECTS && !previous.contains(next)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case(header::JSON)
        })
}

#[cfg(test)]
mod tests;
