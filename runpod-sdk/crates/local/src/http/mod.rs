//! The platform over HTTP: thin routes on top of the endpoints' stores.

pub(crate) mod access;
mod body;
mod clients;
mod openai;
mod pages;
mod python;
mod query;
pub(crate) mod record;
mod refused;
mod target;
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};
use tower::ServiceExt as _;

use self::access::Access;
use self::record::{RecordedCall, Recorder};
use self::refused::{Answer, Refused};
use self::target::{Operation, Target};
use crate::clock::Clock;
use crate::endpoint::{Endpoint, RateLimited};
use crate::faults::FaultKind;

/// Largest body while calls are recorded.
const RECORDED_BODY: usize = 64 * 1024 * 1024;

/// Where the pages of the program that runs the platform are, beside `/`.
const PAGES: &str = "/console/";
/// Those of them that want the API key.
const KEYED_PAGES: &str = "/console/api/";

/// What every request is answered from.
#[derive(Debug)]
pub(crate) struct PlatformState {
    pub(crate) endpoints: BTreeMap<String, Arc<Endpoint>>,
    pub(crate) access: Access,
    pub(crate) clock: Clock,
    /// The pages of the program that runs the platform, if it has any.
    pub(crate) pages: Option<Router>,
    /// The record of calls, if one is kept.
    pub(crate) recorder: Option<Recorder>,
}

impl PlatformState {
    /// The endpoint and the operation that a path means.
    ///
    /// The last part says whether the path names no endpoint, as on the Python worker's server.
    fn route<'p>(
        &self,
        method: &Method,
        path: &'p str,
    ) -> Result<(&Arc<Endpoint>, Operation<'p>, bool), Refused> {
        let Some(Target { endpoint, operation }) = Target::parse(path) else {
            let text = format!(
                "not found: no operation at {path}; the base URL ends in /v2 without a slash after it"
            );
            return Err(Refused::not_found(text));
        };
        if !operation.takes(method) {
            return Err(Refused::method(path, operation.methods()));
        }
        let is_python_route = endpoint.is_none();
        let endpoint = self.endpoint(endpoint).ok_or_else(|| {
            let known: Vec<&str> = self.endpoints.keys().map(String::as_str).collect();
            Refused::not_found(format!(
                "endpoint not found; this platform has: {}",
                known.join(", ")
            ))
        })?;
        Ok((endpoint, operation, is_python_route))
    }

    /// The named endpoint, or the only one there is.
    fn endpoint(&self, name: Option<&str>) -> Option<&Arc<Endpoint>> {
        match name {
            Some(name) => self.endpoints.get(name),
            None if self.endpoints.len() == 1 => self.endpoints.values().next(),
            None => None,
        }
    }
}

/// All routes. Paths are read by [`Target`], because the part before the operation is optional.
pub(crate) fn router(state: Arc<PlatformState>) -> Router {
    Router::new().fallback(answer).with_state(state)
}

async fn answer(State(state): State<Arc<PlatformState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let response = match &state.recorder {
        Some(recorder) => answer_recorded(&state, recorder, parts, body).await,
        None => answer_to(&state, &parts, body).await,
    };
    let response = response.unwrap_or_else(Response::from);
    tracing::debug!(%method, path, status = response.status().as_u16());
    response
}

async fn answer_recorded(state: &PlatformState, recorder: &Recorder, mut parts: Parts, body: Body) -> Answer {
    let at = state.clock.now();
    if let Some(key) = parts.headers.get_mut(header::AUTHORIZATION) {
        key.set_sensitive(true);
    }
    let body = body::read(&parts.headers, body, RECORDED_BODY)
        .await
        .map_err(|problem| Refused::body(problem, RECORDED_BODY))?;
    let response = answer_to(state, &parts, Body::from(Bytes::clone(&body)))
        .await
        .unwrap_or_else(Response::from);
    recorder.add(RecordedCall {
        at,
        path_and_query: parts
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        method: parts.method,
        headers: parts.headers,
        body,
        status: response.status(),
    });
    Ok(response)
}

async fn answer_to(state: &PlatformState, parts: &Parts, body: Body) -> Answer {
    let path = parts.uri.path();
    // A page without a key takes webhooks and does nothing that would send the next one.
    let takes_webhooks = state.pages.is_some() && is_page(path) && !path.starts_with(KEYED_PAGES);
    if !takes_webhooks && parts.headers.contains_key(runpod_protocol::header::LOCAL_WEBHOOK) {
        return Err(Refused::webhook());
    }
    if let Some(pages) = state.pages.clone().filter(|_| is_page(path)) {
        state
            .access
            .check_page(&parts.headers, &parts.uri, path.starts_with(KEYED_PAGES))?;
        let request = Request::from_parts(parts.clone(), body);
        return Ok(pages
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {}));
    }
    state.access.check(&parts.headers, &parts.uri)?;
    if let Some(page) = pages::page(path, &state.endpoints) {
        return Ok(page);
    }
    let (endpoint, operation, is_python_route) = state.route(&parts.method, path)?;
    let _admitted = endpoint
        .admit(operation.class())
        .map_err(|RateLimited| Refused::too_many("rate limit reached"))?;
    let answer = dispatch(endpoint, operation, parts, body).await;
    if is_python_route {
        python::answer(operation, answer)
    } else {
        answer
    }
}

fn slow_network(kind: FaultKind) -> Option<Duration> {
    match kind {
        FaultKind::SlowNetwork(delay) => Some(delay),
        _ => None,
    }
}

fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with(PAGES)
}

async fn dispatch(endpoint: &Arc<Endpoint>, operation: Operation<'_>, parts: &Parts, body: Body) -> Answer {
    let client = clients::ClientCall {
        endpoint,
        uri: &parts.uri,
    };
    if operation.is_workers()
        && let Some(delay) = endpoint.faults.strike(slow_network)
    {
        endpoint.pause(delay).await;
    }
    let worker = |worker: &str| workers::WorkerCall {
        endpoint,
        uri: &parts.uri,
        worker: worker.into(),
    };
    match operation {
        Operation::Run => client.run(&parts.headers, body).await,
        Operation::RunSync => client.runsync(&parts.headers, body).await,
        Operation::Status(job) => client.status(job),
        Operation::StatusSync(job) => client.status_sync(job).await,
        Operation::Stream(job) => client.stream(job).await,
        Operation::Cancel(job) => client.cancel(job),
        Operation::Retry(job) => client.retry(job),
        Operation::PurgeQueue => Ok(client.purge_queue()),
        Operation::Health => Ok(client.health()),
        Operation::Requests => Ok(client.requests()),
        Operation::OpenAi(route) => client.openai(route, &parts.method, &parts.headers, body).await,
        Operation::Realtime => client.realtime(&parts.headers, body).await,
        Operation::Take(id) => Ok(worker(id).take().await),
        Operation::TakeBatch(id) => Ok(worker(id).take_batch().await),
        Operation::Stop(id) => Ok(worker(id).stop().await),
        Operation::Ping(id) => Ok(worker(id).ping()),
        Operation::Done { worker: id, job } => worker(id).done(job, &parts.headers, body).await,
        Operation::Chunk { worker: id, job } => worker(id).chunk(job, &parts.headers, body).await,
    }
}
