//! A running platform: its addresses and keys, what it knows, and its end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use runpod_protocol::{route, variable};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::Activity;
use crate::faults::{ActiveFault, Fault};
use crate::http::PlatformState;
use crate::http::record::{RecordedCall, Recorder};
use crate::settings::JobsOf;
use crate::snapshot::EndpointSnapshot;
use crate::violation::Violation;

/// The key that workers are given by a platform without one of its own.
const ANY_KEY: &str = "local-key";
/// Milliseconds between heartbeats, as RunPod sets it.
const PING_INTERVAL_MS: &str = "10000";
/// How long [`LocalPlatform::shutdown`] waits for open connections, in real time.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A running platform. It stops when it is dropped.
#[doc(alias = "rp_fastapi")]
#[doc(alias = "rp_serve_api")]
#[derive(Debug)]
pub struct LocalPlatform {
    pub(crate) state: Arc<PlatformState>,
    pub(crate) address: SocketAddr,
    pub(crate) closing: CancellationToken,
    pub(crate) server: JoinHandle<()>,
    /// One timekeeper and one webhook sender for each endpoint.
    pub(crate) background: TaskTracker,
}

impl LocalPlatform {
    /// Where the platform listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`. A platform that listens on every address is named by loopback.
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// The value for `RUNPOD_ENDPOINT_BASE_URL`: the URL with `/v2`, without a slash at the end.
    pub fn client_base_url(&self) -> String {
        format!("{}/{}", self.url(), route::VERSION)
    }

    /// The variables that point RunPod's Python client, or this crate's, at the platform.
    pub fn client_env(&self) -> Vec<(String, String)> {
        vec![
            (variable::CLIENT_BASE_URL.to_owned(), self.client_base_url()),
            (variable::CLIENT_KEY.to_owned(), self.key().to_owned()),
        ]
    }

    /// The platform's key. A platform without one takes any key, and this is one.
    pub fn key(&self) -> &str {
        self.state
            .access
            .key
            .as_ref()
            .map_or(ANY_KEY, SecretString::expose_secret)
    }

    /// The variables RunPod would set for a worker of an endpoint (`docs/protocol/worker-protocol.md` §2 and §3).
    ///
    /// The templates have RunPod's shape, the placeholders and the GPU's name in the query included. They are given
    /// for any id: the first take of a worker of an endpoint that does not exist is answered with 404.
    pub fn worker_env(&self, endpoint: &str, worker_id: &str) -> Vec<(String, String)> {
        let base = format!("{}/{endpoint}", self.client_base_url());
        let url = |operation: &str, ids: &str| format!("{base}/{operation}/{ids}?gpu=Local+GPU");
        let (worker, id) = (route::WORKER_PLACEHOLDER, route::ID_PLACEHOLDER);
        let worker_and_job = format!("{worker}/{id}");
        [
            (variable::TAKE_URL, url(route::JOB_TAKE, id)),
            (variable::DONE_URL, url(route::JOB_DONE, &worker_and_job)),
            (variable::STREAM_URL, url(route::JOB_STREAM, &worker_and_job)),
            (variable::PING_URL, url(route::PING, worker)),
            (variable::PING_INTERVAL, PING_INTERVAL_MS.to_owned()),
            (variable::WORKER_KEY, self.key().to_owned()),
            (variable::WORKER_ID, worker_id.to_owned()),
            (variable::ENDPOINT_ID, endpoint.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// What workers did against the protocol, on all endpoints, oldest first. The last 1000 per endpoint are kept.
    pub fn violations(&self) -> Vec<Violation> {
        let endpoints = self.state.endpoints.values();
        let mut all: Vec<_> = endpoints
            .flat_map(|endpoint| endpoint.with(|store, _| store.violations()))
            .collect();
        all.sort_by_key(|violation| violation.at);
        all
    }

    /// What an endpoint holds now; `None` for an unknown endpoint.
    pub fn snapshot(&self, endpoint: &str) -> Option<EndpointSnapshot> {
        self.state
            .endpoints
            .get(endpoint)
            .map(|endpoint| endpoint.with(EndpointSnapshot::of))
    }

    /// Says that a worker's process has ended: its jobs are queued again at once, instead of when its pings are missed.
    ///
    /// An unknown endpoint or worker changes nothing.
    pub fn worker_ended(&self, endpoint: &str, worker: &str, jobs: JobsOf) {
        if let Some(endpoint) = self.state.endpoints.get(endpoint) {
            endpoint.with(|store, now| store.worker_ended(now, worker, jobs));
        }
    }

    /// Lets a fault happen on an endpoint from now on, and gives the id for its removal; `None` for an unknown endpoint.
    pub fn inject(&self, endpoint: &str, fault: Fault) -> Option<u64> {
        let endpoint = self.state.endpoints.get(endpoint)?;
        Some(endpoint.faults.add(fault))
    }

    /// The faults of an endpoint, oldest first, spent ones included. Empty for an unknown endpoint.
    pub fn faults(&self, endpoint: &str) -> Vec<ActiveFault> {
        let endpoint = self.state.endpoints.get(endpoint);
        endpoint
            .map(|endpoint| endpoint.faults.list())
            .unwrap_or_default()
    }

    /// Ends a fault. Whether there was one of this id.
    pub fn remove_fault(&self, endpoint: &str, id: u64) -> bool {
        let endpoint = self.state.endpoints.get(endpoint);
        endpoint.is_some_and(|endpoint| endpoint.faults.remove(id))
    }

    /// Time passed since the platform's clock began, to compare with the times it reports.
    pub fn now(&self) -> Duration {
        self.state.clock.now()
    }

    /// Every call answered so far, of clients and workers, in the order of their answers.
    ///
    /// Empty unless [`record_calls`](crate::LocalPlatformBuilder::record_calls) was on. The last 10 000 calls are kept, fewer
    /// if their bodies exceed 256 MiB.
    pub fn recorded_calls(&self) -> Vec<RecordedCall> {
        self.state
            .recorder
            .as_ref()
            .map(Recorder::calls)
            .unwrap_or_default()
    }

    /// Returns once what an endpoint is busy with is as `wanted`; `None`, at once, for an unknown endpoint.
    ///
    /// With a manual clock a test waits here, say for a poll to be held, before it advances the time.
    pub async fn until(&self, endpoint: &str, wanted: impl FnMut(&Activity) -> bool) -> Option<Activity> {
        let endpoint = self.state.endpoints.get(endpoint)?;
        Some(endpoint.activity.until(wanted).await)
    }

    /// Ends held requests, closes the address and waits for open connections, at most 5 s.
    pub async fn shutdown(mut self) {
        self.closing.cancel();
        self.background.close();
        let ended = async {
            let _ = (&mut self.server).await;
            self.background.wait().await;
        };
        if tokio::time::timeout(SHUTDOWN_GRACE, ended).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for LocalPlatform {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}
