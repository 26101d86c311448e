//! The jobs of this worker, from their take until their result is delivered.
//!
//! The heartbeat lists them, so that the platform gives them to no other worker.

use runpod_protocol::sync::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::context::{Cancel, CancelReason};
use crate::job::JobId;

/// The active jobs of one worker.
#[derive(Debug)]
pub(crate) struct ActiveJobs {
    jobs: Mutex<Jobs>,
    /// Notified when a job is added or released.
    changed: Notify,
    most_results: usize,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Jobs {
    /// In order of arrival.
    list: Vec<ActiveJob>,
    abandoned: bool,
}

#[derive(Debug)]
struct ActiveJob {
    id: JobId,
    cancel: Cancel,
    /// Size of the result that waits for delivery; `None` while the job waits or runs.
    undelivered: Option<usize>,
}

impl ActiveJobs {
    pub(crate) fn new(most_results: usize, most_bytes: usize) -> Self {
        Self {
            jobs: Mutex::default(),
            changed: Notify::new(),
            most_results,
            most_bytes,
        }
    }

    /// Adds a job that was just taken. `None` if it is active already: a job that is handed out twice runs once.
    pub(crate) fn add(&self, id: &JobId) -> Option<Cancel> {
        let mut jobs = self.lock();
        if jobs.list.iter().any(|entry| entry.id == *id) {
            return None;
        }
        let cancel = Cancel::default();
        jobs.list.push(ActiveJob {
            id: id.clone(),
            cancel: cancel.clone(),
            undelivered: None,
        });
        drop(jobs);
        self.changed.notify_waiters();
        Some(cancel)
    }

    #[cfg(any(test, feature = "testing", feature = "http-modes"))]
    pub(crate) fn contains(&self, id: &JobId) -> bool {
        self.lock().list.iter().any(|entry| entry.id == *id)
    }

    /// Waits until `wanted` is true of the jobs.
    pub(crate) async fn until(&self, wanted: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            if wanted(self) {
                return;
            }
            changed.await;
        }
    }

    /// Records that the job has a result of `bytes`, which waits for delivery.
    pub(crate) fn finished(&self, id: &JobId, bytes: usize) {
        if let Some(entry) = self.lock().list.iter_mut().find(|entry| entry.id == *id) {
            entry.undelivered = Some(bytes);
        }
    }

    /// Records that the handler of this run of the job has ended. The job may have been released since, or taken again:
    /// then nothing is recorded.
    pub(crate) fn returned(&self, id: &JobId, run: &Cancel, bytes: usize) {
        let mut jobs = self.lock();
        if let Some(entry) = jobs
            .list
            .iter_mut()
            .find(|entry| entry.id == *id && entry.cancel.is(run))
        {
            entry.undelivered.get_or_insert(bytes);
        }
    }

    /// Removes a job that is settled.
    pub(crate) fn release(&self, id: &JobId) {
        self.lock().list.retain(|entry| entry.id != *id);
        self.changed.notify_waiters();
    }

    /// Cancels a job that waits or runs. The result of a job whose handler has returned is still delivered. Returns whether
    /// a job was cancelled.
    pub(crate) fn cancel(&self, id: &JobId, reason: CancelReason) -> bool {
        let jobs = self.lock();
        let Some(entry) = jobs
            .list
            .iter()
            .find(|entry| entry.id == *id && entry.undelivered.is_none())
        else {
            return false;
        };
        entry.cancel.cancel(reason);
        true
    }

    /// Cancels every job that waits or runs.
    pub(crate) fn cancel_all(&self, reason: CancelReason) {
        for entry in self
            .lock()
            .list
            .iter()
            .filter(|entry| entry.undelivered.is_none())
        {
            entry.cancel.cancel(reason);
        }
    }

    /// Abandons all jobs: the heartbeat no longer lists them. Returns their number.
    pub(crate) fn abandon(&self) -> usize {
        let mut jobs = self.lock();
        jobs.abandoned = true;
        jobs.list.len()
    }

    /// The ids for the heartbeat, in order of arrival; `None` after [`abandon`](Self::abandon).
    pub(crate) fn ids(&self) -> Option<Vec<JobId>> {
        let jobs = self.lock();
        (!jobs.abandoned).then(|| jobs.list.iter().map(|entry| entry.id.clone()).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().list.is_empty()
    }

    /// Waits until the undelivered results leave room for another job.
    pub(crate) async fn room(&self) {
        self.until(Self::has_room).await;
    }

    /// Whether another job may be taken.
    pub(crate) fn has_room(&self) -> bool {
        let jobs = self.lock();
        let (results, bytes) = jobs
            .list
            .iter()
            .filter_map(|entry| entry.undelivered)
            .fold((0, 0), |(results, bytes), size| (results + 1, bytes + size));
        results < self.most_results && bytes < self.most_bytes
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_room_above_either_bound() {
        let active_jobs = ActiveJobs::new(2, 100);
        for (id, bytes) in [("a", 10), ("b", 10)] {
            active_jobs.add(&id.into());
            active_jobs.finished(&id.into(), bytes);
        }
        assert!(!active_jobs.has_room(), "two results are too many");
        active_jobs.release(&"a".into());
        assert!(active_jobs.has_room());
        active_jobs.add(&"c".into());
        assert!(active_jobs.has_room(), "a running job is no result");
        active_jobs.release(&"b".into());
        active_jobs.finished(&"c".into(), 100);
        assert!(!active_jobs.has_room(), "a hundred bytes are too many");
    }

    #[tokio::test]
    async fn a_delivery_ends_the_wait_for_room() {
        let active_jobs = ActiveJobs::new(1, 100);
        active_jobs.add(&"a".into());
        active_jobs.finished(&"a".into(), 1);
        let waiting = active_jobs.room();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        active_jobs.release(&"a".into());
        assert!(futures_util::poll!(&mut waiting).is_ready());
    }

    #[test]
    fn a_job_that_is_here_is_not_added_again() {
        let active_jobs = ActiveJobs::new(1, 1);
        assert!(active_jobs.add(&"a".into()).is_some());
        assert!(active_jobs.add(&"a".into()).is_none());
        assert_eq!(active_jobs.ids().unwrap().len(), 1);
    }

    #[test]
    fn a_thread_that_outlives_its_job_says_nothing_about_the_next_run() {
        let active_jobs = ActiveJobs::new(1, 1);
        let first = active_jobs.add(&"a".into()).unwrap();
        active_jobs.release(&"a".into());
        let second = active_jobs.add(&"a".into()).unwrap();
        active_jobs.returned(&"a".into(), &first, 10);
        assert!(active_jobs.has_room());
        active_jobs.returned(&"a".into(), &second, 10);
        assert!(!active_jobs.has_room());
    }

    #[test]
    fn a_finished_job_is_not_cancelled() {
        let active_jobs = ActiveJobs::new(1, 1);
        let cancel = active_jobs.add(&"a".into()).unwrap();
        active_jobs.finished(&"a".into(), 1);
        assert!(!active_jobs.cancel(&"a".into(), CancelReason::Stopped));
        assert_eq!(cancel.reason(), None);
        assert!(!active_jobs.cancel(&"unknown".into(), CancelReason::Stopped));
    }
}
