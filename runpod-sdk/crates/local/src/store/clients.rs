//! What clients do to jobs.

use std::time::Duration;

use runpod_protocol::{JobId, JobStatus};

use super::chunks::TakenChunks;
use super::job::{Job, Origin};
use super::view::{ChunkPage, JobView};
use super::{Ending, Event, SharedRequest, Store};
use crate::observed::JobChange;
use crate::received::ReceivedJob;

/// No room for another job, and nothing that may be forgotten.
#[derive(Debug)]
pub(crate) struct StoreFull;

/// Why a job is not queued again.
#[derive(Debug)]
pub(crate) enum NotRetried {
    UnknownJob,
    NotFailed(JobStatus),
}

impl Store {
    /// Queues a new job.
    pub(crate) fn submit(
        &mut self,
        now: Duration,
        id: &JobId,
        origin: Origin,
        request: ReceivedJob,
    ) -> Result<(), StoreFull> {
        self.advance(now);
        self.make_room(now, request.body_bytes)?;
        let ttl = request.ttl.unwrap_or(self.settings.ttl);
        let position = self.queue.push_back(JobId::clone(id));
        self.observations.job(now, id, || JobChange::Submitted {
            input: request.input.clone(),
            webhook: request.webhook.clone(),
            policy: request.policy.clone(),
        });
        self.insert(Job::queued(
            id,
            origin,
            SharedRequest::new(request),
            now,
            ttl,
            position,
        ));
        self.events.push(Event::Queued);
        Ok(())
    }

    /// Forgets finished jobs until one more of `bytes` fits.
    fn make_room(&mut self, now: Duration, bytes: usize) -> Result<(), StoreFull> {
        while self.jobs.len() >= self.settings.max_jobs
            || self.index.bytes().saturating_add(bytes) > self.settings.max_bytes
        {
            let oldest = self.index.oldest_final().ok_or(StoreFull)?;
            self.delete(now, &oldest);
        }
        Ok(())
    }

    /// Cancels a live job; a finished one stays as it is. `None` for an unknown job.
    pub(crate) fn cancel(&mut self, now: Duration, id: &JobId) -> Option<JobView> {
        self.advance(now);
        if !self.jobs.get(id)?.status().is_final() {
            self.stop_worker_of(id);
            self.end(now, id, Ending::decreed(JobStatus::Cancelled, None));
        }
        self.view(now, id)
    }

    /// Queues a failed job again: same id and input, everything else as if new.
    pub(crate) fn retry(&mut self, now: Duration, id: &JobId) -> Result<(), NotRetried> {
        self.advance(now);
        let status = self.jobs.get(id).ok_or(NotRetried::UnknownJob)?.status();
        if !status.can_be_retried() {
            return Err(NotRetried::NotFailed(status));
        }
        let position = self.queue.push_back(JobId::clone(id));
        self.change(id, |job| {
            let request = SharedRequest::clone(&job.request);
            let anew = Job::queued(id, job.origin, request, now, job.ttl, position);
            // The number keeps hand-outs of the first run apart from those of the next.
            *job = Job {
                attempt: job.attempt,
                ..anew
            };
        });
        self.totals.retried += 1;
        self.observations.job(now, id, || JobChange::Retried);
        self.events
            .extend([Event::Queued, Event::Changed(JobId::clone(id))]);
        Ok(())
    }

    /// Cancels every queued job and says how many there were.
    pub(crate) fn purge(&mut self, now: Duration) -> usize {
        self.advance(now);
        let queued = self.queue.ids();
        for id in &queued {
            self.end(now, id, Ending::decreed(JobStatus::Cancelled, None));
        }
        queued.len()
    }

    /// Changes a live job's time to live, which counts from its submission. A final job is forgotten `ttl` from now, if
    /// it is not forgotten before.
    pub(crate) fn set_ttl(&mut self, now: Duration, id: &JobId, ttl: Duration) {
        self.advance(now);
        self.change(id, |job| {
            if job.status().is_final() {
                let wanted = now.saturating_add(ttl);
                job.forget_at = Some(job.forget_at.unwrap_or(Duration::MAX).min(wanted));
            } else {
                job.ttl = ttl;
            }
        });
        self.advance(now);
    }

    /// Hands out the chunks that wait, each once. `None` for an unknown job.
    pub(crate) fn read_chunks(&mut self, now: Duration, id: &JobId) -> Option<ChunkPage> {
        self.advance(now);
        self.change(id, |job| ChunkPage {
            status: job.status(),
            chunks: job.chunks.take(),
        })
    }

    /// Puts the chunks of a reader that has hung up back in their places.
    pub(crate) fn put_back_chunks(&mut self, id: &JobId, chunks: TakenChunks) {
        self.change(id, |job| job.chunks.put_back(chunks));
    }
}
