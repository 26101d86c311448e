//! The builder methods of a worker that answers HTTP requests itself.

use std::net::IpAddr;

use super::Worker;
use crate::settings::WorkerMode;

/// Requests that the worker answers itself (feature `http-modes`): load-balancing endpoints, and realtime
/// ones, to which the platform switches by `RUNPOD_REALTIME_PORT`.
///
/// A request becomes a job like any other, with the worker's concurrency, timeout, hooks and grace
/// periods. While every slot is taken [`http_queue`](Self::http_queue) more requests wait; what comes beyond is
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
/// Fitness checks run before the first request, in both modes: a worker that its author calls unfit
/// must not answer. (Python's realtime server runs none.)
impl<S> Worker<S> {
    /// Makes this the worker of a load-balancing endpoint: it listens on `PORT` instead of asking for
    /// jobs. Default: off. `RUNPOD_WORKER_MODE=load-balancing` and `=queue` win.
    ///
    /// On a pod `PORT` is 80 if it is not set, and requests are taken from everywhere (`0.0.0.0`), because
    /// RunPod's load balancer comes from another machine. On any other machine, which is one without
    /// `RUNPOD_POD_ID`, it is 8000 and only this machine is answered. Health checks have a port of their own if
    /// `PORT_HEALTH` says so, and the path in `HEALTH_CHECK_PATH`, else `/ping`.
    ///
    /// `--test_input` and `--rp_serve_api` work as ever.
    pub fn load_balancing(mut self) -> Self {
        self.settings.mode = WorkerMode::LoadBalancing;
        self
    }

    /// How many requests may wait while every slot is taken. Default 16.
    /// Overridden by `RUNPOD_WORKER_HTTP_QUEUE`.
    pub fn http_queue(mut self, requests: usize) -> Self {
        self.settings.http_queue = requests;
        self
    }

    /// Where to listen. Default: everywhere on a pod, else on this machine alone.
    /// Overridden by `RUNPOD_WORKER_HTTP_HOST`.
    pub fn http_host(mut self, host: IpAddr) -> Self {
        self.settings.http_host = Some(host);
        self
    }
}
