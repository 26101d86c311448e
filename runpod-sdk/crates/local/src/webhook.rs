//! Telling a client's server that its job is final.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::activity::{Activities, Counted};
use super::clock::Clock;
use super::http::body::{Json, Parts};
use super::http::job;
use super::store::JobView;

/// KiB of payloads that webhooks under way may keep in memory; further webhooks are dropped.
const BUDGET: usize = 512 * 1024;
/// KiB each webhook counts for beside its payload, which bounds their number.
const OVERHEAD: usize = 256;
/// How long a receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What RunPod's platform calls itself there.
const USER_AGENT: &str = "Go-http-client/2.0";

/// Where finished jobs are put for delivery. Never blocks.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    jobs: mpsc::UnboundedSender<Parcel>,
    /// Permits for KiB; whatever is in the channel or under way holds some.
    budget: Arc<Semaphore>,
    activities: Activities,
}

/// A job on its way to its webhook, with what it takes up meanwhile.
#[derive(Debug)]
struct Parcel {
    job: JobView,
    _memory: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Outbox {
    /// What the endpoint is busy with; deliveries are counted there.
    pub(crate) fn activities(&self) -> &Activities {
        &self.activities
    }

    pub(crate) fn put(&self, job: JobView) {
        let size = job.payload_bytes().div_ceil(1024).saturating_add(OVERHEAD);
        let memory = u32::try_from(size)
            .ok()
            .and_then(|size| Arc::clone(&self.budget).try_acquire_many_owned(size).ok());
        let Some(memory) = memory else {
            self.activities.change(|activity| activity.webhooks_given_up += 1);
            tracing::warn!(job = &*job.id, "webhook dropped: too many are under way");
            return;
        };
        let counted = self.activities.count(|activity| &mut activity.webhooks_under_way);
        // Without a courier the platform is closing, and the parcel is dropped.
        let _ = self.jobs.send(Parcel {
            job,
            _memory: memory,
            _counted: counted,
        });
    }
}

/// Delivers webhooks (`docs/protocol/endpoint-api.md` §8): a POST, repeated after pauses until some 2xx.
#[derive(Debug)]
pub(crate) struct Courier {
    jobs: mpsc::UnboundedReceiver<Parcel>,
    route: Route,
}

#[derive(Clone, Debug)]
struct Route {
    clock: Clock,
    /// Pauses before the second and later tries.
    waits: Arc<[Duration]>,
    clients: Arc<Clients>,
    activities: Activities,
}

/// HTTP clients, made when first needed: the one for `https` has to load certificates.
#[derive(Debug, Default)]
struct Clients {
    http: OnceLock<Option<reqwest::Client>>,
    https: OnceLock<Option<reqwest::Client>>,
}

impl Courier {
    pub(crate) fn new(clock: Clock, waits: &[Duration]) -> (Outbox, Self) {
        let (sender, jobs) = mpsc::unbounded_channel();
        let activities = Activities::default();
        let outbox = Outbox {
            jobs: sender,
            budget: Arc::new(Semaphore::new(BUDGET)),
            activities: activities.clone(),
        };
        (
            outbox,
            Self {
                jobs,
                route: Route {
                    clock,
                    waits: waits.into(),
                    clients: Arc::default(),
                    activities,
                },
            },
        )
    }

    /// Delivers until the platform closes; what is still under way then is given up.
    pub(crate) async fn run(mut self, closing: CancellationToken) {
        let deliveries = TaskTracker::new();
        while let Some(Some(parcel)) = closing.run_until_cancelled(self.jobs.recv()).await {
            let (route, closing) = (self.route.clone(), closing.clone());
            deliveries.spawn(async move { closing.run_until_cancelled(route.deliver(parcel)).await });
        }
    }
}

impl Route {
    async fn deliver(&self, parcel: Parcel) {
        let job = &parcel.job;
        let Some(url) = job.request.webhook.as_deref() else {
            return;
        };
        let mut json = Json::default();
        job::for_webhook(&mut json, job);
        let parts = json.into_parts();
        let mut waits = self.waits.iter();
        loop {
            let problem = match self.post(url, parts.clone()).await {
                Ok(()) => {
                    self.activities
                        .change(|activity| activity.webhooks_delivered += 1);
                    return;
                }
                Err(problem) => problem,
            };
            let Some(wait) = waits.next() else {
                self.activities.change(|activity| activity.webhooks_given_up += 1);
                tracing::warn!(job = &*job.id, problem, "webhook given up");
                return;
            };
            tracing::info!(job = &*job.id, problem, retry_in = ?wait, "webhook not delivered");
            let until = self.clock.now().saturating_add(*wait);
            let _waiting = self.activities.count(|activity| &mut activity.webhooks_waiting);
            self.clock.sleep_until(until).await;
        }
    }

    /// Posts once; the error says why it does not count as delivered.
    async fn post(&self, url: &str, parts: VecDeque<Bytes>) -> Result<(), String> {
        let client = self
            .clients
            .of(url)
            .ok_or("no HTTP client: are CA certificates installed?")?;
        let (trace, span) = (Uuid::new_v4().simple(), Uuid::new_v4().as_u64_pair().0);
        let request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header("traceparent", format!("00-{trace}-{span:016x}-01"))
            .body(reqwest::Body::wrap(Parts::new(parts)));
        tokio::select! {
            answer = request.send() => match answer {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(format!("answered {}", answer.status())),
                Err(problem) => Err(problem.without_url().to_string()),
            },
            () = self.clock.sleep(PATIENCE) => Err("no answer in time".to_owned()),
        }
    }
}

impl Clients {
    fn of(&self, url: &str) -> Option<&reqwest::Client> {
        runpod_protocol::tls::install_provider();
        if url.starts_with("https:") {
            self.https
                .get_or_init(|| reqwest::Client::builder().build().ok())
                .as_ref()
        } else {
            let without_certificates = || {
                reqwest::Client::builder()
                    .tls_certs_only([])
                    .no_proxy()
                    .build()
                    .ok()
            };
            self.http.get_or_init(without_certificates).as_ref()
        }
    }
}
