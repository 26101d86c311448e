//! The builder methods of a worker that answers HTTP requests itself.

use std::net::IpAddr;

use super::Worker;
use crate::settings::WorkerMode;

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
impl<S> Worker<S> {
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
