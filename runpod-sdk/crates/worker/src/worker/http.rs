//! Options of a worker that answers HTTP requests itself.

use std::net::IpAddr;

use super::Worker;

const QUEUE: usize = 16;
/// RunPod's load balancer passes on 30 MB; a little more, so that the worker is not the one to refuse.
const BODY_LIMIT: usize = 32 << 20;

#[derive(Debug, Clone)]
pub(crate) struct HttpOptions {
    pub(crate) queue: usize,
    pub(crate) body_limit: usize,
    pub(crate) host: Option<IpAddr>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            queue: QUEUE,
            body_limit: BODY_LIMIT,
            host: None,
        }
    }
}

impl HttpOptions {
    /// Applies the `RUNPOD_WORKER_HTTP_…` variables. Adds a line for each that cannot be read.
    pub(super) fn override_from(
        &mut self,
        lookup: impl Fn(&str) -> Option<String>,
        problems: &mut Vec<String>,
    ) {
        let mut number = |name: &str, target: &mut usize| {
            if let Some(text) = lookup(name).filter(|text| !text.is_empty()) {
                match text.parse() {
                    Ok(value) => *target = value,
                    Err(_) => problems.push(format!("{name}={text} is not a number")),
                }
            }
        };
        number("RUNPOD_WORKER_HTTP_QUEUE", &mut self.queue);
        number("RUNPOD_WORKER_HTTP_BODY_LIMIT", &mut self.body_limit);
        let name = "RUNPOD_WORKER_HTTP_HOST";
        if let Some(text) = lookup(name).filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(host) => self.host = Some(host),
                Err(_) => problems.push(format!("{name}={text} is not an IP address")),
            }
        }
    }
}

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
        self.options.load_balancing = true;
        self
    }

    /// How many requests may wait while every slot is taken. Default 16.
    /// Overridden by `RUNPOD_WORKER_HTTP_QUEUE`.
    pub fn http_queue(mut self, requests: usize) -> Self {
        self.options.http.queue = requests;
        self
    }

    /// Largest body of a request in bytes. Default 32 MiB: RunPod passes on 30 MB. A larger one is
    /// answered 413. Overridden by `RUNPOD_WORKER_HTTP_BODY_LIMIT`.
    pub fn http_body_limit(mut self, bytes: usize) -> Self {
        self.options.http.body_limit = bytes;
        self
    }

    /// Where to listen. Default: everywhere on a pod, else on this machine alone.
    /// Overridden by `RUNPOD_WORKER_HTTP_HOST`.
    pub fn http_host(mut self, host: IpAddr) -> Self {
        self.options.http.host = Some(host);
        self
    }
}
