//! The delivery of webhooks: a client's server is sent its job once the job is final.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::activity::{ActivityGuard, ActivityWatch};
use crate::clock::Clock;
use crate::json::{BodyParts, JsonWriter, job_view};
use crate::store::JobView;

/// KiB of payloads that webhooks under way may keep in memory; further webhooks are dropped.
const MEMORY_KIB: usize = 512 * 1024;
/// KiB each webhook counts for beside its payload, which bounds their number.
const OVERHEAD_KIB: usize = 256;
/// The pauses before the second and the third try. RunPod gives up after three.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(10); 2];
/// How long a receiver may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The user agent of RunPod's platform.
const USER_AGENT: &str = "Go-http-client/2.0";

/// The entry to delivery, where the endpoint puts final jobs. It never blocks.
#[derive(Clone, Debug)]
pub(crate) struct WebhookQueue {
    jobs: mpsc::UnboundedSender<PendingWebhook>,
    /// Permits for KiB; whatever is in the channel or under way holds permits.
    memory: Arc<Semaphore>,
    activity: ActivityWatch,
}

/// A job on its way to its webhook, with the memory and the count that it takes meanwhile.
#[derive(Debug)]
struct PendingWebhook {
    job: JobView,
    _memory: OwnedSemaphorePermit,
    _counted: ActivityGuard,
}

impl WebhookQueue {
    /// What the endpoint is busy with; deliveries are counted there.
    pub(crate) fn activity(&self) -> &ActivityWatch {
        &self.activity
    }

    pub(crate) fn put(&self, job: JobView) {
        let size = job.payload_bytes().div_ceil(1024).saturating_add(OVERHEAD_KIB);
        let memory = u32::try_from(size)
            .ok()
            .and_then(|size| Arc::clone(&self.memory).try_acquire_many_owned(size).ok());
        let Some(memory) = memory else {
            self.activity.change(|activity| activity.webhooks_given_up += 1);
            tracing::warn!(job = job.id.as_str(), "webhook dropped: too many are under way");
            return;
        };
        let counted = self.activity.count(|activity| &mut activity.webhooks_under_way);
        // Without a sender the platform is closing, and the webhook is dropped.
        let _ = self.jobs.send(PendingWebhook {
            job,
            _memory: memory,
            _counted: counted,
        });
    }
}

/// Delivers webhooks (`docs/protocol/endpoint-api.md` §8): a POST, repeated after pauses until a 2xx comes.
#[derive(Debug)]
pub(crate) struct WebhookSender {
    jobs: mpsc::UnboundedReceiver<PendingWebhook>,
    delivery: Delivery,
}

#[derive(Clone, Debug)]
struct Delivery {
    clock: Clock,
    clients: Arc<HttpClients>,
    activity: ActivityWatch,
}

/// HTTP clients, made when first needed: the one for `https` has to load certificates.
#[derive(Debug, Default)]
struct HttpClients {
    http: OnceLock<Option<reqwest::Client>>,
    https: OnceLock<Option<reqwest::Client>>,
}

impl WebhookSender {
    pub(crate) fn new(clock: Clock) -> (WebhookQueue, Self) {
        let (sender, jobs) = mpsc::unbounded_channel();
        let activity = ActivityWatch::default();
        let queue = WebhookQueue {
            jobs: sender,
            memory: Arc::new(Semaphore::new(MEMORY_KIB)),
            activity: activity.clone(),
        };
        (
            queue,
            Self {
                jobs,
                delivery: Delivery {
                    clock,
                    clients: Arc::default(),
                    activity,
                },
            },
        )
    }

    /// Delivers until the platform closes; what is still under way then is given up.
    pub(crate) async fn run(mut self, closing: CancellationToken) {
        let deliveries = TaskTracker::new();
        while let Some(Some(pending)) = closing.run_until_cancelled(self.jobs.recv()).await {
            let (delivery, closing) = (self.delivery.clone(), closing.clone());
            deliveries.spawn(async move { closing.run_until_cancelled(delivery.deliver(pending)).await });
        }
    }
}

impl Delivery {
    async fn deliver(&self, pending: PendingWebhook) {
        let job = &pending.job;
        let Some(url) = job.request.webhook.as_deref() else {
            return;
        };
        let mut json = JsonWriter::default();
        job_view::for_webhook(&mut json, job);
        let parts = json.into_parts();
        let mut pauses = RETRY_PAUSES.into_iter();
        loop {
            let problem = match self.post(url, parts.clone()).await {
                Ok(()) => {
                    self.activity.change(|activity| activity.webhooks_delivered += 1);
                    return;
                }
                Err(problem) => problem,
            };
            let Some(pause) = pauses.next() else {
                self.activity.change(|activity| activity.webhooks_given_up += 1);
                tracing::warn!(job = job.id.as_str(), problem, "webhook given up");
                return;
            };
            tracing::info!(job = job.id.as_str(), problem, retry_in = ?pause, "webhook not delivered");
            let until = self.clock.now().saturating_add(pause);
            let _waiting = self.activity.count(|activity| &mut activity.webhooks_waiting);
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
            .header(header::CONTENT_TYPE, runpod_protocol::header::JSON)
            .header(header::USER_AGENT, USER_AGENT)
            .header("traceparent", format!("00-{trace}-{span:016x}-01"))
            .header(runpod_protocol::header::LOCAL_WEBHOOK, "1")
            .body(reqwest::Body::wrap(BodyParts::new(parts)));
        tokio::select! {
            answer = request.send() => match answer {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(format!("answered {}", answer.status())),
                Err(problem) => Err(problem.without_url().to_string()),
            },
            () = self.clock.sleep(ANSWER_LIMIT) => Err("no answer in time".to_owned()),
        }
    }
}

impl HttpClients {
    fn of(&self, url: &str) -> Option<&reqwest::Client> {
        runpod_protocol::tls::install_provider();
        if url.starts_with("https:") {
            self.https
                .get_or_init(|| reqwest::Client::builder().referer(false).build().ok())
                .as_ref()
        } else {
            let without_certificates = || {
                reqwest::Client::builder()
                    .tls_certs_only([])
                    .no_proxy()
                    // The URL of a webhook may hold a secret.
                    .referer(false)
                    .build()
                    .ok()
            };
            self.http.get_or_init(without_certificates).as_ref()
        }
    }
}
