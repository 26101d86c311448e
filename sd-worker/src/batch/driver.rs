//! Renders the jobs of the queue, one batch after another, in a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, info, warn};

use super::answer::{NotSplit, split};
use super::choice::halves;
use super::limits::Limits;
use super::queue::{Entry, NextSize, Queue};
use super::share::{OwnFields, Share};
use super::{BatchOptions, request};
use crate::cancelled::Cancelled;
use crate::code::{Code, Explain as _};
use crate::marks::{INFERENCE_STARTED, READINESS_CHECKED};
use crate::render::{FinishedRender, GpuLease, RenderError, RenderJobs, Renderer};

/// Renders what waits in the queue.
#[derive(Debug)]
pub(super) struct Driver {
    queue: Arc<Queue>,
    renderer: Arc<Renderer>,
    options: BatchOptions,
    limits: Limits,
    /// The number of the last batch of several jobs.
    last_batch: AtomicU64,
}

impl Driver {
    pub(super) fn new(queue: Arc<Queue>, renderer: Arc<Renderer>, options: BatchOptions) -> Self {
        Self {
            queue,
            renderer,
            limits: Limits::new(options.limit),
            options,
            last_batch: AtomicU64::new(0),
        }
    }

    /// Renders for as long as the worker lives.
    pub(super) async fn run(self) {
        let driver = Arc::new(self);
        loop {
            driver.queue.some().await;
            match driver.renderer.lease_for_any().await {
                Ok(lease) => {
                    driver.gather().await;
                    let batch = driver.take();
                    driver.render(lease, batch).await;
                }
                Err(given_up) => {
                    for job in driver.queue.take_all() {
                        job.finish(Err(given_up.into()));
                    }
                }
            }
        }
    }

    /// Waits for jobs that are on their way, if the batch has room for them.
    async fn gather(&self) {
        let end = Instant::now() + self.options.window;
        loop {
            // Created before the look, so that no change is missed.
            let changed = self.options.arrivals.changed();
            let has_room = |next: NextSize| next.jobs < next.limit;
            let next = self.queue.next_size(|share| self.limit(share));
            if !next.is_some_and(has_room) || self.options.arrivals.coming() == 0 {
                return;
            }
            if timeout_at(end, changed).await.is_err() {
                return;
            }
        }
    }

    /// Takes the jobs that are rendered next, without those whose answer another job has rendered.
    fn take(&self) -> Vec<Entry> {
        let limit_of = |share: &Share| self.limit(share);
        let batch = self.queue.take(limit_of);
        let sizes = batch.first().map(|job| self.limit(&job.share)).into_iter();
        if let Some(most) = sizes.chain(self.queue.largest_limit(limit_of)).max() {
            self.options.concurrency.set(most);
        }
        let mut left = Vec::with_capacity(batch.len());
        for mut job in batch {
            job.ctx.mark(READINESS_CHECKED);
            match job.cached() {
                Some(answer) => job.answer(answer),
                None => left.push(job),
            }
        }
        left
    }

    fn limit(&self, share: &Share) -> usize {
        self.limits.of(&share.size)
    }

    /// Renders a batch. One that fails is rendered again in halves, down to single jobs. The lease is given back between
    /// them, so that the WebUI can be mended.
    async fn render(self: &Arc<Self>, lease: GpuLease, batch: Vec<Entry>) {
        let mut lease = Some(lease);
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            part.retain(Entry::is_wanted);
            if part.is_empty() {
                continue;
            }
            let next = match lease.take() {
                Some(lease) => Ok(lease),
                None => self.renderer.lease_for_any().await,
            };
            let failed = match next {
                Ok(lease) => self.render_part(lease, part).await,
                Err(given_up) => {
                    for job in parts.drain(..).flatten().chain(part) {
                        job.finish(Err(given_up.into()));
                    }
                    return;
                }
            };
            if let Some(failed) = failed {
                let (first, second) = halves(failed);
                parts.extend([second, first]);
            }
        }
    }

    /// Renders jobs in one request. Returns them if they have to be rendered again.
    async fn render_part(self: &Arc<Self>, lease: GpuLease, mut part: Vec<Entry>) -> Option<Vec<Entry>> {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        self.options.figures.jobs.observe(part.len() as f64);
        if part.len() == 1 {
            let job = part.pop()?;
            let jobs = RenderJobs::one(&job.ctx);
            job.begins(&jobs);
            job.ctx.mark(INFERENCE_STARTED);
            let rendered = lease.render(&job.call, &jobs).instrument(job.span.clone()).await;
            self.options.arrivals.answered(job.ctx.job_id());
            job.finish(rendered);
            return None;
        }
        let Some(call) = request::of_all(&part[0].call, part.iter().map(|job| &job.share.own)) else {
            return Some(part);
        };
        let number = self.last_batch.fetch_add(1, Ordering::Relaxed) + 1;
        let jobs = RenderJobs::several(part.iter().map(|job| job.ctx.clone()));
        for job in &part {
            job.begins(&jobs);
            job.ctx.mark(INFERENCE_STARTED);
            job.ctx.note("batch", number);
            job.ctx.note("batch_jobs", part.len());
        }
        match lease.render(&call, &jobs).await {
            Ok(finished) => {
                for job in &part {
                    self.options.arrivals.answered(job.ctx.job_id());
                }
                // The next batch is rendered meanwhile.
                tokio::spawn(self.clone().deliver(number, finished, part));
                None
            }
            Err(RenderError::Cancelled(Cancelled(last))) => {
                for job in part {
                    let reason = job.ctx.cancel_reason().unwrap_or(last);
                    job.finish(Err(Cancelled(reason).into()));
                }
                None
            }
            Err(error) => {
                self.note_failure(number, &error, &part);
                Some(part)
            }
        }
    }

    /// Hands each job its part of the answer.
    async fn deliver(self: Arc<Self>, number: u64, finished: FinishedRender, part: Vec<Entry>) {
        let FinishedRender {
            answer,
            verified_complete,
        } = finished;
        let own: Vec<OwnFields> = part.iter().map(|job| job.share.own.clone()).collect();
        // Parsing megabytes would hold up the requests of other jobs.
        let splitting = tokio::task::spawn_blocking(move || split(&answer, &own));
        match splitting.await {
            Ok(Ok(answers)) => {
                for (job, answer) in part.into_iter().zip(answers) {
                    let finished = FinishedRender {
                        answer,
                        verified_complete,
                    };
                    job.finish(Ok(finished));
                }
            }
            Ok(Err(why)) => self.turn_off(number, &why, part),
            // The worker ends.
            Err(_) => drop(part),
        }
    }

    /// The batch was not rendered as it was asked for: its jobs and all later ones are rendered alone.
    fn turn_off(&self, number: u64, why: &NotSplit, part: Vec<Entry>) {
        warn!(
            batch = number,
            "each job is rendered alone from now on, because the answer of a batch was not that of its jobs: {why}"
        );
        self.limits.turn_off();
        self.options.concurrency.set(1);
        self.queue.put_back(part);
    }

    fn note_failure(&self, number: u64, error: &RenderError, part: &[Entry]) {
        self.options.figures.halved.inc();
        let jobs = part.len();
        warn!(batch = number, jobs, %error, "a batch failed; it is rendered again in halves");
        if let Some(job) = part.first()
            && error.code() == Code::OutOfMemory
        {
            let limit = self.limits.ran_out_of_memory(&job.share.size, jobs);
            info!(
                limit,
                "the GPU's memory has room for fewer pictures of this size at once"
            );
        }
    }
}
