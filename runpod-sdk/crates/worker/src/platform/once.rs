//! A platform with a single job, for the local test mode (`docs/protocol/worker-protocol.md` §13).
//!
//! The job takes the same way as in production; only the platform is different.

use runpod_protocol::sync::Mutex;
use std::num::NonZeroUsize;

use tokio_util::sync::CancellationToken;

use super::{Platform, Reply};
use crate::job::{Job, JobId, JobReport};

/// Hands out one job and keeps its result.
#[derive(Debug)]
pub(crate) struct OncePlatform {
    job: Mutex<Option<Job>>,
    /// Called for each chunk and each progress update when it comes.
    update: fn(&JobReport),
    result: Mutex<Option<JobReport>>,
    finished: CancellationToken,
}

impl OncePlatform {
    /// A platform with this job. It cancels `finished` when the result is posted.
    pub(crate) fn new(job: Job, finished: CancellationToken, update: fn(&JobReport)) -> Self {
        Self {
            job: Mutex::new(Some(job)),
            update,
            result: Mutex::default(),
            finished,
        }
    }

    /// The final report.
    pub(crate) fn take_result(&self) -> Option<JobReport> {
        self.result.lock().take()
    }
}

impl Platform for OncePlatform {
    fn take_jobs<'a>(
        &'a self,
        _: NonZeroUsize,
        _: bool,
        give_up: &'a CancellationToken,
    ) -> Reply<'a, Vec<Job>> {
        Box::pin(async move {
            let job = self.job.lock().take();
            if job.is_none() {
                give_up.cancelled().await;
            }
            Ok(job.into_iter().collect())
        })
    }

    fn post_chunk<'a>(&'a self, _: &'a JobId, chunk: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move {
            (self.update)(chunk);
            Ok(())
        })
    }

    fn post_report<'a>(&'a self, _: &'a JobId, report: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move {
            if report.is_progress() {
                (self.update)(report);
            } else {
                *self.result.lock() = Some(report.clone());
                self.finished.cancel();
            }
            Ok(())
        })
    }

    fn heartbeat<'a>(&'a self, _: &'a [JobId]) -> Reply<'a, ()> {
        Box::pin(async move { Ok(()) })
    }

    fn stop_signals(&self) -> Reply<'_, Vec<JobId>> {
        Box::pin(async move { std::future::pending().await })
    }
}
