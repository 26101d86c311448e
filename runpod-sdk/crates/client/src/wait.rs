//! Waiting for a job: long polls where the platform has them, spaced questions where not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use runpod_protocol::{query, route};
use tokio::time::Instant;

use crate::error::ClientError;
use crate::job_calls::JobCalls;
use crate::pace::PollPace;
use crate::report::JobReport;
use crate::transport::{ApiCall, is_outage};

/// The longest outage of the endpoint that a wait sits out. The platform keeps a result for no longer (§5).
const LONGEST_OUTAGE: Duration = Duration::from_mins(30);

/// Waits until the job is final.
pub(crate) async fn until_final(job: &JobCalls) -> Result<JobReport, ClientError> {
    let wait = job.transport.timeouts.poll;
    let mut polls = Polls::default();
    loop {
        let report = polls.next(job, wait).await?;
        if report.status.is_final() {
            return Ok(report);
        }
    }
}

/// Polls of one job, over outages of the endpoint.
#[derive(Debug, Default)]
struct Polls {
    pace: PollPace,
    /// The time of the first of the polls that fail now.
    failing: Option<Instant>,
}

impl Polls {
    /// Asks until there is an answer. The request itself has been sent again before; an outage may last longer.
    async fn next(&mut self, job: &JobCalls, wait: Duration) -> Result<JobReport, ClientError> {
        loop {
            let error = match poll(job, wait, &mut self.pace).await {
                Ok(report) => {
                    self.failing = None;
                    return Ok(report);
                }
                Err(error) => error,
            };
            let failing = *self.failing.get_or_insert_with(Instant::now);
            if !is_outage(&error) || failing.elapsed() >= LONGEST_OUTAGE {
                return Err(error);
            }
            tracing::debug!(%error, job = %job.id, "the endpoint does not answer; the wait for the job goes on");
            self.pace.pause(Duration::MAX).await;
        }
    }
}

/// The changes of a job, until it is final.
#[derive(Debug)]
pub(crate) struct JobUpdates {
    job: JobCalls,
    last: Option<JobReport>,
    polls: Polls,
}

impl JobUpdates {
    pub(crate) fn new(job: JobCalls) -> Self {
        Self {
            job,
            last: None,
            polls: Polls::default(),
        }
    }

    /// Waits for the next update: the job's state at first, then every change that is seen.
    pub(crate) async fn next(&mut self) -> Result<JobReport, ClientError> {
        let wait = self.job.transport.timeouts.progress;
        loop {
            let report = match &self.last {
                None => self.polls.next(&self.job, Duration::ZERO).await?,
                Some(_) => {
                    if wait < query::SHORTEST_WAIT {
                        tokio::time::sleep(wait).await;
                    }
                    self.polls.next(&self.job, wait).await?
                }
            };
            if self.last.as_ref().is_none_or(|last| report.differs_from(last)) {
                self.last = Some(report.clone());
                return Ok(report);
            }
        }
    }
}

/// Asks once, held by the platform for up to `wait` if it can. A wait shorter than it takes makes a plain question.
async fn poll(job: &JobCalls, wait: Duration, pace: &mut PollPace) -> Result<JobReport, ClientError> {
    if wait < query::SHORTEST_WAIT {
        return job.status().await;
    }
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
