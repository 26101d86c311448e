//! The builder methods of a worker that answers HTTP requests itself.

use std::net::IpAddr;

use axum::Router;

use super::Worker;
use crate::job::{ErrorClass, ErrorCode, JobError};
use crate::json::RawJson;
use crate::settings::WorkerMode;
use crate::web::{OwnRoutes, Routes};

/// The most requests at once to a worker that has routes and no handler, unless it names a number itself.
const REQUESTS_AT_ONCE: usize = 1024;

/// Options of workers that answer HTTP requests (feature `http-modes`): of load-balancing endpoints, and of realtime
/// ones, which the platform selects by `RUNPOD_REALTIME_PORT`.
///
/// A request becomes a job like any other, with the worker's concurrency, timeout, hooks and grace
/// periods. While every slot is taken [`http_queue`](Self::http_queue) more requests wait. Further ones are
/// answered 503 with `Retry-After`, as is everything while the worker starts and after SIGTERM. A client that
/// hangs up cancels its job.
///
/// | route | takes | answers |
/// |---|---|---|
/// | `POST /` (load balancing) | the input itself | the output itself; a failure by the status (422 the request, 500 the worker, 502 its backend, 504 too late) with `{"error": {…}, "detail": "…"}` |
/// | `POST /runsync` | `{"input": …}` and other keys of a job | `{"id", "status", "output" or "error", "delayTime", "executionTime", "workerId"}`, as RunPod's endpoint API |
/// | `POST /ENDPOINT/realtime` (realtime) | `{"id", "input"}` | `{"output": …}` or `{"error": "…"}`, as a result is posted |
/// | `GET /ping` | | 204 while the worker starts, 200, 503 when it stops |
///
/// A streaming handler's chunks come as one list. On `POST /` they come one by one where the request says
/// `Accept: text/event-stream` (chunks as `data:`; events named `progress`, `end` and `error`), or
/// `Accept: application/x-ndjson` (`{"output": …}` a line, and at last `{"error": …}` if it failed).
///
/// Fitness checks run before the first request, in both modes. (Python's realtime server runs none.)
impl<S: Clone + Send + Sync + 'static> Worker<S> {
    /// A worker of a load-balancing endpoint that serves a program of its own, and has no handler for jobs.
    ///
    /// `routes` is called once, with the worker's state, when that has been loaded. The router may do whatever axum can:
    /// server-sent events, WebSockets, middleware, files.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    ///
    /// use axum::Router;
    /// use axum::extract::State;
    /// use axum::routing::get;
    /// use runpod_sdk::Worker;
    ///
    /// #[derive(Clone)]
    /// struct Model(Arc<str>);
    ///
    /// async fn name(State(model): State<Model>) -> String {
    ///     model.0.to_string()
    /// }
    ///
    /// async fn load() -> std::io::Result<Model> {
    ///     Ok(Model("tiny".into()))
    /// }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     let web = Worker::serving(|model: Model| Router::new().route("/model", get(name)).with_state(model));
    ///     runpod_sdk::start(web.state_with(load))
    /// }
    /// ```
    ///
    /// Around the routes the worker does what it does for a handler:
    ///
    /// - `/ping` is answered 204 while the state loads, 200 then, 503 once it drains. The router's own `/ping` is not asked.
    /// - Until it is ready and once it drains, requests are refused with 503 and `Retry-After`.
    /// - After SIGTERM, requests that are being answered and open WebSockets get the
    ///   [grace](Self::shutdown_grace). [`Draining`](crate::web::Draining) tells them.
    /// - At most [`concurrency`](Self::concurrency) requests are answered at once, 1024 unless it is set; a WebSocket counts
    ///   until it is closed. [`http_queue`](Self::http_queue) more wait, further ones are refused with 503. axum's
    ///   extractors read bodies of up to 32 MiB, unless the router sets another `DefaultBodyLimit`.
    /// - Each answer is an event ([`RequestAnswered`](crate::events::WorkerEvent::RequestAnswered)), figures of the metrics, and
    ///   a span, which joins the trace that the request's `traceparent` names (feature `otlp`). A panic is a 500.
    ///
    /// In other modes, such as `--test_input`, its jobs fail, because there is no handler.
    pub fn serving(routes: impl FnOnce(S) -> Router + Send + 'static) -> Self {
        let mut worker = Self::new(|_: RawJson| async {
            let message = "this worker serves routes of its own, and has no handler for jobs";
            Err::<RawJson, _>(JobError::new(ErrorCode::NOT_FOUND, ErrorClass::User, message))
        });
        worker.routes = Routes::new(routes, false);
        worker.concurrency(REQUESTS_AT_ONCE).load_balancing()
    }
}

impl<S> Worker<S> {
    /// Adds routes of one's own to a worker that answers HTTP requests. The handler keeps `POST /` and `POST /runsync` (on a
    /// realtime endpoint its own path), and everything else goes to the router, as [`serving`](Self::serving) says.
    ///
    /// Requests to the router need no slot, so they are answered while jobs run. Call it before the state is given:
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use axum::Router;
    /// use axum::routing::get;
    /// use runpod_sdk::prelude::*;
    ///
    /// #[handler]
    /// async fn paint(prompt: String, State(model): State<Arc<str>>) -> JobResult<String> {
    ///     Ok(format!("{prompt} by {model}"))
    /// }
    ///
    /// let worker: Worker = paint::worker()
    ///     .routes(|model: Arc<str>| {
    ///         Router::new().route("/model", get(move || async move { model.to_string() }))
    ///     })
    ///     .state("tiny".into())
    ///     .load_balancing();
    /// ```
    pub fn routes(mut self, routes: impl FnOnce(S) -> Router + Send + 'static) -> Self {
        self.routes = Routes::new(routes, true);
        self
    }

    /// The routes for the server, if the program has given any.
    pub(crate) fn own_routes(&self) -> Option<OwnRoutes> {
        self.routes.own()
    }

    /// Makes this the worker of a load-balancing endpoint: it listens on `PORT` instead of asking for
    /// jobs. Default: off. Overridden by `RUNPOD_WORKER_MODE`:
    /// `load-balancing` or `queue`.
    ///
    /// On a pod the default of `PORT` is 80, and requests are accepted from everywhere (`0.0.0.0`), because
    /// RunPod's load balancer is another machine. On any other machine, which is one without `RUNPOD_POD_ID`, the default
    /// is 8000, and only requests of this machine are accepted. `PORT_HEALTH` sets a second port for health checks, and
    /// `HEALTH_CHECK_PATH` their path, which is `/ping` by default.
    ///
    /// `--test_input` and `--rp_serve_api` are not affected.
    pub fn load_balancing(mut self) -> Self {
        self.settings.mode = WorkerMode::LoadBalancing;
        self
    }

    /// Sets how many requests may wait while every slot is taken. Default 16.
    /// Overridden by `RUNPOD_WORKER_HTTP_QUEUE`.
    pub fn http_queue(mut self, requests: usize) -> Self {
        self.settings.http_queue = requests;
        self
    }

    /// Sets the address to listen on. Default: `0.0.0.0` on a pod, else this machine alone.
    /// Overridden by `RUNPOD_WORKER_HTTP_HOST`.
    pub fn http_host(mut self, host: IpAddr) -> Self {
        self.settings.http_host = Some(host);
        self
    }
}
