//! Waiting for a job: long polls where the platform has them, spaced questions where not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use runpod_protocol::route;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::job_calls::JobCalls;
use crate::pace::PollPace;
use crate::report::JobReport;
use crate::transport::ApiCall;

/// The platform holds no long poll for less than this (§5).
const SHORTEST_POLL: Duration = Duration::from_secs(1);

/// Waits until the job is final.
pub(crate) async fn until_final(job: &JobCalls) -> Result<JobReport, ClientError> {
    let wait = job.transport.timeouts.poll;
    let mut pace = PollPace::default();
    loop {
        let report = poll(job, wait, &mut pace).await?;
        if report.status.is_final() {
            return Ok(report);
        }
    }
}

/// The changes of a job, until it is final.
#[derive(Debug)]
pub(crate) struct JobUpdates {
    job: JobCalls,
    last: Option<JobReport>,
    pace: PollPace,
}

impl JobUpdates {
    pub(crate) fn new(job: JobCalls) -> Self {
        Self {
            job,
            last: None,
            pace: PollPace::default(),
        }
    }

    /// Waits for the next update: the job's state at first, then every change that is seen.
    pub(crate) async fn next(&mut self) -> Result<JobReport, ClientError> {
        let wait = self.job.transport.timeouts.progress;
        loop {
            let report = match &self.last {
                None => self.job.status().await?,
                Some(_) if wait < SHORTEST_POLL => {
                    tokio::time::sleep(wait).await;
                    self.job.status().await?
                }
                Some(_) => poll(&self.job, wait, &mut self.pace).await?,
            };
            if self.last.as_ref().is_none_or(|last| report.differs_from(last)) {
                self.last = Some(report.clone());
                return Ok(report);
            }
        }
    }
}

/// Asks once, held by the platform for up to `wait` if it can.
async fn poll(job: &JobCalls, wait: Duration, pace: &mut PollPace) -> Result<JobReport, ClientError> {
    let known_missing = &job.transport.without_status_sync;
    if !known_missing.load(Ordering::Relaxed) {
        let asked = Instant::now();
        match job
            .send(ApiCall::get(&[route::STATUS_SYNC, job.id.as_str()]).wait(wait))
            .await
        {
            Err(ClientError::JobNotFound(_)) => {
                // Either the job or the operation is unknown. `/status` shows which.
                let report = job.status().await?;
                known_missing.store(true, Ordering::Relaxed);
                return Ok(report);
            }
            Err(ClientError::Status { status, .. }) if status.as_u16() == 405 => {
                known_missing.store(true, Ordering::Relaxed);
            }
            Ok(report) => {
                if !report.status.is_final() {
                    pace.pause_if_early(asked.elapsed(), wait).await;
                }
                return Ok(report);
            }
            Err(other) => return Err(other),
        }
    }
    let report = job.status().await?;
    if !report.status.is_final() {
        pace.pause(wait).await;
    }
    Ok(report)
}
