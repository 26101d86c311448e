//! A platform with a single job, for the local test mode (`docs/protocol/worker-protocol.md` §13).
//!
//! The job takes the same way as in production; only the platform is different.

use runpod_protocol::sync::Mutex;
use std::num::NonZeroUsize;

use tokio_util::sync::CancellationToken;

use super::{Platform, Reply};
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
            self.chunks.lock().push(chunk.pieces().concat());
            Ok(())
        })
    }

    fn post_report<'a>(&'a self, _: &'a JobId, report: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move {
            if !report.is_progress() {
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
