//! A platform with a single job, for the local test mode (`docs/protocol/worker-protocol.md` §13).
//!
//! The job takes the same way as in production; only the platform is different.

use runpod_protocol::sync::Mutex;
use std::num::NonZeroUsize;

use tokio_util::sync::CancellationToken;

use super::{Platform, PlatformError};
use crate::job::{Job, JobId, JobReport};

/// Hands out one job and keeps what is posted for it.
#[derive(Debug)]
pub(crate) struct OncePlatform {
    job: Mutex<Option<Job>>,
    chunks: Mutex<Vec<Vec<u8>>>,
    result: Mutex<Option<JobReport>>,
    finished: CancellationToken,
}

impl OncePlatform {
    /// A platform with this job. It cancels `finished` when the result is posted.
    pub(crate) fn new(job: Job, finished: CancellationToken) -> Self {
        Self {
            job: Mutex::new(Some(job)),
            chunks: Mutex::default(),
            result: Mutex::default(),
            finished,
        }
    }

    /// The bodies of the chunks, in order, and the final report.
    pub(crate) fn take_result(&self) -> (Vec<Vec<u8>>, Option<JobReport>) {
        let chunks = std::mem::take(&mut *self.chunks.lock());
        (chunks, self.result.lock().take())
    }
}

impl Platform for OncePlatform {
    async fn take_jobs(
        &self,
        _: NonZeroUsize,
        _: bool,
        give_up: &CancellationToken,
    ) -> Result<Vec<Job>, PlatformError> {
        let job = self.job.lock().take();
        if job.is_none() {
            give_up.cancelled().await;
        }
        Ok(job.into_iter().collect())
    }

    async fn post_chunk(&self, _: &JobId, chunk: &JobReport) -> Result<(), PlatformError> {
        self.chunks.lock().push(chunk.pieces().concat());
        Ok(())
    }

    async fn post_report(&self, _: &JobId, report: &JobReport) -> Result<(), PlatformError> {
        if !report.is_progress() {
            *self.result.lock() = Some(report.clone());
            self.finished.cancel();
        }
        Ok(())
    }

    async fn heartbeat(&self, _: &[JobId]) -> Result<(), PlatformError> {
        Ok(())
    }

    async fn stop_signals(&self) -> Result<Vec<JobId>, PlatformError> {
        std::future::pending().await
    }
}
