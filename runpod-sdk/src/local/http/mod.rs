//! The platform over HTTP: thin routes on top of the endpoints' stores.

pub(crate) mod access;
pub(crate) mod body;
mod clients;
mod job;
mod query;
mod target;
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use self::access::Access;
use self::body::error;
use self::target::{Operation, Target};
use super::endpoint::Endpoint;

/// What every request is answered from.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) endpoints: BTreeMap<String, Arc<Endpoint>>,
    pub(crate) access: Access,
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
    match route(&app, &request) {
        Ok(endpoint) => dispatch(endpoint, request).await,
        Err(refusal) => *refusal,
    }
}

/// Checks whether and by which endpoint a request is answered.
fn route<'a>(app: &'a App, request: &Request) -> Result<&'a Arc<Endpoint>, Box<Response>> {
    app.access
        .check(request.headers(), request.uri())
        .map_err(|refusal| {
            let (status, text) = refusal.answer();
            Box::new(error(status, &text))
        })?;
    let path = request.uri().path();
    let target = Target::parse(path).ok_or_else(|| {
        let text =
            format!("not found: no operation at {path}; the base URL ends in /v2 without a slash after it");
        Box::new(error(StatusCode::NOT_FOUND, &text))
    })?;
    if !target.operation.takes(request.method()) {
        let allowed = target.operation.methods();
        let mut response = error(
            StatusCode::METHOD_NOT_ALLOWED,
            &format!("method not allowed: {path} takes {allowed}"),
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static(allowed));
        return Err(Box::new(response));
    }
    app.endpoint(target.endpoint).ok_or_else(|| {
        let known: Vec<&str> = app.endpoints.keys().map(String::as_str).collect();
        let text = format!("endpoint not found; this platform has: {}", known.join(", "));
        Box::new(error(StatusCode::NOT_FOUND, &text))
    })
}

async fn dispatch(endpoint: &Arc<Endpoint>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(Target { operation, .. }) = Target::parse(parts.uri.path()) else {
        return error(StatusCode::NOT_FOUND, "not found");
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
        Operation::Take(id) => worker(id).take().await,
        Operation::TakeBatch(id) => worker(id).take_batch().await,
        Operation::Stop(id) => worker(id).stop().await,
        Operation::Ping(id) => worker(id).ping(),
        Operation::Done { worker: id, job } => worker(id).done(job, &parts.headers, body).await,
        Operation::Chunk { worker: id, job } => worker(id).chunk(job, &parts.headers, body).await,
    }
}
