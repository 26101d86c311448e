//! The platform over HTTP: thin routes on top of the endpoints' stores.

pub(crate) mod access;
pub(crate) mod body;
mod clients;
pub(crate) mod job;
mod pages;
mod query;
pub(crate) mod record;
mod target;
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use self::access::Access;
use self::body::error;
use self::record::{RecordedCall, Recorder};
use self::target::{Operation, Target};
use super::clock::Clock;
use super::endpoint::{Endpoint, TooMany};

/// Largest body while calls are recorded.
const RECORDED_BODY: usize = 64 * 1024 * 1024;

/// What every request is answered from.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) endpoints: BTreeMap<String, Arc<Endpoint>>,
    pub(crate) access: Access,
    pub(crate) clock: Clock,
    /// Keeps what was called, if that is wanted.
    pub(crate) recorder: Option<Recorder>,
}

impl App {
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
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new().fallback(answer).with_state(app)
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    let Some(recorder) = &app.recorder else {
        return answer_to(&app, request).await;
    };
    let at = app.clock.now();
    let (mut parts, body) = request.into_parts();
    if let Some(key) = parts.headers.get_mut(header::AUTHORIZATION) {
        key.set_sensitive(true);
    }
    let Ok(body) = body::read(&parts.headers, body, RECORDED_BODY).await else {
        return error(
            StatusCode::BAD_REQUEST,
            "bad request: body: too large to be recorded, or cut off",
        );
    };
    let mut call = RecordedCall {
        at,
        method: parts.method.clone(),
        path_and_query: parts
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        headers: parts.headers.clone(),
        body: Bytes::clone(&body),
        status: StatusCode::OK,
    };
    let response = answer_to(&app, Request::from_parts(parts, Body::from(body))).await;
    call.status = response.status();
    recorder.add(call);
    response
}

async fn answer_to(app: &App, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let response = match route(app, &parts) {
        Ok((endpoint, operation)) => dispatch(endpoint, operation, &parts, body).await,
        Err(refusal) => *refusal,
    };
    tracing::debug!(method = %parts.method, path = parts.uri.path(), status = response.status().as_u16());
    response
}

/// Checks whether, and by which endpoint, a request is answered.
fn route<'a, 'p>(
    app: &'a App,
    parts: &'p Parts,
) -> Result<(&'a Arc<Endpoint>, Operation<'p>), Box<Response>> {
    app.access.check(&parts.headers, &parts.uri).map_err(|refusal| {
        let (status, text) = refusal.answer();
        Box::new(error(status, &text))
    })?;
    let path = parts.uri.path();
    let ids = || app.endpoints.keys().map(String::as_str);
    let Some(Target { endpoint, operation }) = Target::parse(path) else {
        let text =
            format!("not found: no operation at {path}; the base URL ends in /v2 without a slash after it");
        return Err(Box::new(
            pages::page(path, &app.endpoints).unwrap_or_else(|| error(StatusCode::NOT_FOUND, &text)),
        ));
    };
    if !operation.takes(&parts.method) {
        let allowed = operation.methods();
        let text = format!("method not allowed: {path} takes {allowed}");
        let mut response = error(StatusCode::METHOD_NOT_ALLOWED, &text);
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static(allowed));
        return Err(Box::new(response));
    }
    let endpoint = app.endpoint(endpoint).ok_or_else(|| {
        let known: Vec<&str> = ids().collect();
        let text = format!("endpoint not found; this platform has: {}", known.join(", "));
        Box::new(error(StatusCode::NOT_FOUND, &text))
    })?;
    Ok((endpoint, operation))
}

async fn dispatch(endpoint: &Arc<Endpoint>, operation: Operation<'_>, parts: &Parts, body: Body) -> Response {
    let _admitted = match operation.class().map(|class| endpoint.admit(class)) {
        Some(Err(TooMany)) => {
            return error(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests: rate limit reached",
            );
        }
        Some(Ok(admitted)) => admitted,
        None => None,
    };
    let client = clients::Call {
        endpoint,
        uri: &parts.uri,
    };
    let worker = |worker: &str| workers::Call {
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
        Operation::PurgeQueue => client.purge_queue(),
        Operation::Health => client.health(),
        Operation::Requests => client.requests(),
        Operation::Realtime => client.realtime(&parts.headers, body).await,
        Operation::Take(id) => worker(id).take().await,
        Operation::TakeBatch(id) => worker(id).take_batch().await,
        Operation::Stop(id) => worker(id).stop().await,
        Operation::Ping(id) => worker(id).ping(),
        Operation::Done { worker: id, job } => worker(id).done(job, &parts.headers, body).await,
        Operation::Chunk { worker: id, job } => worker(id).chunk(job, &parts.headers, body).await,
    }
}
