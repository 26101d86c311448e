//! The jobs that wait for the GPU and may share batches, in order of arrival.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use runpod_sdk::Context;
use runpod_sdk::json::RawJson;
use tokio::sync::{Notify, oneshot};
use tracing::Span;

use super::choice::next_batch;
use super::share::Share;
use crate::cache::CacheSlot;
use crate::cancelled::Cancelled;
use crate::marks::INFERENCE_FINISHED;
use crate::render::{FinishedRender, RenderError, RenderJobs};
use crate::webui::Call;

/// The queue, which the driver empties.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Entry>>,
    joined: Notify,
}

/// A job in the queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) call: Call,
    pub(super) share: Share,
    pub(super) ctx: Context,
    /// The job's own span, for the log.
    pub(super) span: Span,
    slot: CacheSlot,
    /// The jobs of the render that the job is in.
    render: Arc<Mutex<Option<RenderJobs>>>,
    reply: oneshot::Sender<Result<Rendered, RenderError>>,
}

/// A job's answer, and its place in the response cache.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) answer: RawJson,
    pub(crate) slot: CacheSlot,
}

/// The place of a job in the queue, for its handler.
#[derive(Debug)]
pub(super) struct Ticket {
    render: Arc<Mutex<Option<RenderJobs>>>,
    reply: oneshot::Receiver<Result<Rendered, RenderError>>,
}

/// The batch that would be rendered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextSize {
    pub(super) jobs: usize,
    pub(super) limit: usize,
}

impl Queue {
    /// Puts a job at the end of the queue.
    pub(super) fn join(&self, call: Call, share: Share, slot: CacheSlot, ctx: &Context) -> Ticket {
        let (reply, replied) = oneshot::channel();
        let render = Arc::default();
        self.waiting.lock().push_back(Entry {
            call,
            share,
            slot,
            ctx: ctx.clone(),
            span: Span::current(),
            render: Arc::clone(&render),
            reply,
        });
        self.joined.notify_one();
        Ticket {
            render,
            reply: replied,
        }
    }

    /// Puts jobs back to the front, in their order.
    pub(super) fn put_back(&self, jobs: Vec<Entry>) {
        let mut waiting = self.waiting.lock();
        for job in jobs.into_iter().rev() {
            *job.render.lock() = None;
            waiting.push_front(job);
        }
        drop(waiting);
        self.joined.notify_one();
    }

    /// Waits until a job waits.
    pub(super) async fn some(&self) {
        loop {
            if !self.wanted().is_empty() {
                return;
            }
            self.joined.notified().await;
        }
    }

    /// The size of the batch that would be rendered now; `None` if no job waits.
    pub(super) fn next_size(&self, limit_of: impl Fn(&Share) -> usize) -> Option<NextSize> {
        let waiting = self.wanted();
        let limit = limit_of(&waiting.front()?.share);
        let keys: Vec<&str> = waiting.iter().map(|job| job.share.key.as_str()).collect();
        let jobs = next_batch(&keys, limit).len();
        Some(NextSize { jobs, limit })
    }

    /// Takes the jobs that are rendered next.
    pub(super) fn take(&self, limit_of: impl Fn(&Share) -> usize) -> Vec<Entry> {
        let mut waiting = self.wanted();
        let Some(oldest) = waiting.front() else {
            return Vec::new();
        };
        let limit = limit_of(&oldest.share);
        let keys: Vec<&str> = waiting.iter().map(|job| job.share.key.as_str()).collect();
        let places = next_batch(&keys, limit);
        let mut batch: Vec<Entry> = places
            .into_iter()
            .rev()
            .filter_map(|place| waiting.remove(place))
            .collect();
        batch.reverse();
        batch
    }

    /// Takes all jobs.
    pub(super) fn take_all(&self) -> Vec<Entry> {
        self.wanted().drain(..).collect()
    }

    /// The largest limit of the waiting jobs.
    pub(super) fn largest_limit(&self, limit_of: impl Fn(&Share) -> usize) -> Option<usize> {
        self.waiting.lock().iter().map(|job| limit_of(&job.share)).max()
    }

    /// The queue without the jobs that are not wanted any more.
    fn wanted(&self) -> parking_lot::MutexGuard<'_, VecDeque<Entry>> {
        let mut waiting = self.waiting.lock();
        waiting.retain(Entry::is_wanted);
        waiting
    }
}

impl Entry {
    /// Whether the job is not cancelled, and its handler still waits.
    pub(super) fn is_wanted(&self) -> bool {
        !self.ctx.is_cancelled() && !self.reply.is_closed()
    }

    /// The job is part of a render that begins now.
    pub(super) fn begins(&self, render: &RenderJobs) {
        *self.render.lock() = Some(render.clone());
    }

    /// The job's answer in the response cache, if another job has rendered it since.
    pub(super) fn cached(&mut self) -> Option<RawJson> {
        self.slot.answer_with_lease()
    }

    /// Answers the job from the cache.
    pub(super) fn answer(self, answer: RawJson) {
        let slot = self.slot;
        // A handler that is gone wants no answer.
        let _ = self.reply.send(Ok(Rendered { answer, slot }));
    }

    /// Answers the job, or fails it.
    pub(super) fn finish(mut self, rendered: Result<FinishedRender, RenderError>) {
        match rendered {
            Ok(finished) => {
                self.ctx.mark(INFERENCE_FINISHED);
                self.slot.put(&finished);
                self.answer(finished.answer);
            }
            Err(error) => {
                let _ = self.reply.send(Err(error));
            }
        }
    }
}

impl Ticket {
    /// Waits for the answer.
    ///
    /// A cancelled job leaves at once while others want its render. If none does, the render is interrupted, and the job
    /// leaves when the GPU is free.
    pub(super) async fn rendered(self, ctx: &Context) -> Result<Rendered, RenderError> {
        let Self { render, mut reply } = self;
        let lost = || RenderError::from(Cancelled(ctx.cancel_reason().unwrap_or(LOST)));
        tokio::select! {
            biased;
            reply = &mut reply => reply.unwrap_or_else(|_| Err(lost())),
            reason = ctx.cancelled() => {
                let is_last = render.lock().as_ref().is_some_and(|jobs| jobs.cancel_reason().is_some());
                if is_last {
                    reply.await.unwrap_or_else(|_| Err(lost()))
                } else {
                    Err(Cancelled(reason).into())
                }
            }
        }
    }
}

/// The driver is gone: the worker ends.
const LOST: runpod_sdk::context::CancelReason = runpod_sdk::context::CancelReason::ShuttingDown;
