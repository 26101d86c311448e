//! Renders different jobs in one batch (`docs/scaling.md`). It is on with `--batch-limit`.
//!
//! A picture of a batch takes the GPU a good part less than a picture alone. Jobs wait in one queue; while the GPU is busy,
//! those that may share a batch come together there.
//!
//! ```text
//!  handler ─▶ queue ─▶ choice ─▶ request ─▶ GpuLease ─▶ answer, split ─▶ handler of each job
//!               ▲                                │
//!               └── its own task                 └─ failed: halves, down to single jobs
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | [`share`] | which jobs may share a batch |
//! | [`queue`], [`choice`] | the jobs that wait, and which are next |
//! | [`arrivals`] | which jobs are on their way |
//! | [`request`], [`answer`] | the request of a batch, and the answers of its jobs |
//! | [`limits`] | how many fit into the GPU's memory |
//! | [`driver`] | renders |
//! | [`figures`] | counts for the metrics |

mod answer;
mod arrivals;
mod choice;
mod driver;
mod figures;
mod limits;
mod queue;
mod request;
mod share;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runpod_sdk::{Concurrency, Context};
use serde::Deserialize;
use serde_json::{Map, Value};
use tracing::{debug, warn};

use self::driver::Driver;
use self::queue::{Queue, Ticket};
use self::share::ServerLimits;
use crate::cache::CacheSlot;
use crate::render::{RenderError, Renderer};
use crate::webui::{Call, EMBEDDINGS, ServerKind, WebUi, WebUiError};

pub(crate) use arrivals::Arrivals;
pub(crate) use figures::BatchFigures;
pub(crate) use queue::Rendered;
pub(crate) use share::Share;

/// What batches need to know.
#[derive(Debug, Clone)]
pub(crate) struct BatchOptions {
    /// The most jobs in a batch.
    pub(crate) limit: usize,
    /// How long an idle GPU waits for jobs that are on their way.
    pub(crate) window: Duration,
    pub(crate) arrivals: Arrivals,
    /// The number of jobs that the worker takes at once.
    pub(crate) concurrency: Concurrency,
    pub(crate) figures: BatchFigures,
}

/// Renders jobs in batches. Its clones share one queue.
#[derive(Debug, Clone)]
pub(crate) struct Batcher {
    queue: Arc<Queue>,
    arrivals: Arrivals,
    webui: WebUi,
    shares_hires_prompts: bool,
    embeddings: Arc<Mutex<Embeddings>>,
}

/// The names of the server's embeddings in lower case, as they were last listed.
#[derive(Debug, Default)]
enum Embeddings {
    #[default]
    Unknown,
    Known(Arc<[String]>),
    /// They could not be had at this time.
    Unavailable(Instant),
}

/// How long a list that could not be had is not asked for again. A slow one would delay every job.
const FAILURE_KEPT: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
struct ListedEmbeddings {
    #[serde(default)]
    loaded: Map<String, Value>,
}

impl Batcher {
    /// Starts batching, if the server can do it. Otherwise the worker takes one job at a time, and the log says why.
    pub(crate) async fn start(webui: WebUi, renderer: Arc<Renderer>, options: BatchOptions) -> Option<Self> {
        let kind = match server_kind(&webui).await {
            Ok(kind) => kind,
            Err(why) => {
                warn!("each job is rendered alone, although --batch-limit is set: {why}");
                options.concurrency.set(1);
                return None;
            }
        };
        let queue = Arc::new(Queue::default());
        let batcher = Self {
            queue: queue.clone(),
            arrivals: options.arrivals.clone(),
            webui,
            shares_hires_prompts: kind == ServerKind::V1_9,
            embeddings: Arc::default(),
        };
        tokio::spawn(Driver::new(queue, renderer, options).run());
        Some(batcher)
    }

    /// What of a request matters to a batch; `None` if it is rendered alone.
    pub(crate) async fn share(&self, call: &Call) -> Option<Share> {
        let Some(embeddings) = self.embeddings().await else {
            debug!("the job is rendered alone: the WebUI does not list its embeddings");
            return None;
        };
        let limits = ServerLimits {
            embeddings,
            shares_hires_prompts: self.shares_hires_prompts,
        };
        Share::read(call, &limits)
            .inspect_err(|why| debug!("the job is rendered alone: {why}"))
            .ok()
    }

    /// The job needs the GPU and shares no batch.
    pub(crate) fn passes_by(&self, ctx: &Context) {
        self.arrivals.arrived(ctx.job_id());
    }

    /// The WebUI's lists may have changed.
    pub(crate) fn forget_lists(&self) {
        *self.embeddings.lock() = Embeddings::Unknown;
    }

    /// Renders a job, alone or in a batch. The answer is that to the job alone.
    pub(crate) async fn render(
        &self,
        call: Call,
        share: Share,
        slot: CacheSlot,
        ctx: &Context,
    ) -> Result<Rendered, RenderError> {
        let ticket: Ticket = self.queue.join(call, share, slot, ctx);
        self.arrivals.arrived(ctx.job_id());
        ticket.rendered(ctx).await
    }

    async fn embeddings(&self) -> Option<Arc<[String]>> {
        match &*self.embeddings.lock() {
            Embeddings::Known(names) => return Some(names.clone()),
            Embeddings::Unavailable(at) if at.elapsed() < FAILURE_KEPT => return None,
            Embeddings::Unknown | Embeddings::Unavailable(_) => {}
        }
        let listed: Result<ListedEmbeddings, WebUiError> = self.webui.list(EMBEDDINGS).await;
        let mut embeddings = self.embeddings.lock();
        match listed {
            Ok(listed) => {
                let names: Arc<[String]> = listed.loaded.keys().map(|name| name.to_lowercase()).collect();
                *embeddings = Embeddings::Known(names.clone());
                Some(names)
            }
            Err(error) => {
                warn!(%error, "jobs are rendered alone for a while: the WebUI does not list its embeddings");
                *embeddings = Embeddings::Unavailable(Instant::now());
                None
            }
        }
    }
}

/// The kind of a server that can render different jobs in one batch, or why it cannot.
async fn server_kind(webui: &WebUi) -> Result<ServerKind, String> {
    let found = webui.batch_script().await.map_err(|error| error.to_string())?;
    found.map_err(|why| why.to_string())?;
    webui.server_kind().await.map_err(|error| error.to_string())
}
