//! Waiting for a job: long polls where the platform has them, patient questions where not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::error::ClientError;
use super::handle::JobHandle;
use super::report::JobReport;
use super::transport::Call;

/// The shortest pause between two questions that were answered at once.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The platform holds no long poll for less than this (§5).
const SHORTEST_POLL: Duration = Duration::from_secs(1);

/// Waits until the job is final.
pub(crate) async fn until_final(job: &JobHandle) -> Result<JobReport, ClientError> {
    let wait = job.client.transport.waits.poll;
    let mut pace = Pace::default();
    loop {
        let report = poll(job, wait, &mut pace).await?;
        if report.status.is_final() {
            return Ok(report);
        }
    }
}

/// Everything new about a job, until it is final.
#[derive(Debug)]
pub(crate) struct News {
    job: JobHandle,
    last: Option<JobReport>,
    pace: Pace,
}

impl News {
    pub(crate) fn new(job: JobHandle) -> Self {
        Self {
            job,
            last: None,
            pace: Pace::default(),
        }
    }

    /// Waits for the next news: the job's state at first, then every change that is seen.
    pub(crate) async fn next(&mut self) -> Result<JobReport, ClientError> {
        let wait = self.job.client.transport.waits.progress;
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
async fn poll(job: &JobHandle, wait: Duration, pace: &mut Pace) -> Result<JobReport, ClientError> {
    let known_missing = &job.client.transport.without_status_sync;
    if !known_missing.load(Ordering::Relaxed) {
        let asked = Instant::now();
        match job.ask(Call::get(&["status-sync", job.id()]).wait(wait)).await {
            Err(ClientError::JobNotFound(_)) => {
                // Either the job or the operation is unknown: `/status` can tell.
                let report = job.status().await?;
                known_missing.store(true, Ordering::Relaxed);
                return Ok(report);
            }
            Err(ClientError::Status { status, .. }) if status.as_u16() == 405 => {
                known_missing.store(true, Ordering::Relaxed);
            }
            Ok(report) => {
                if !report.status.is_final() {
                    pace.rest_if_hasty(asked.elapsed(), wait).await;
                }
                return Ok(report);
            }
            Err(other) => return Err(other),
        }
    }
    let report = job.status().await?;
    if !report.status.is_final() {
        pace.rest(wait).await;
    }
    Ok(report)
}

/// Keeps polls from turning into a storm when the platform does not hold them.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    pause: Duration,
}

impl Pace {
    /// Rests if a poll that asked for `wait` came back much too early.
    pub(crate) async fn rest_if_hasty(&mut self, took: Duration, wait: Duration) {
        if took < wait / 2 && took < FIRST_PAUSE {
            self.rest(LONGEST_PAUSE).await;
        } else {
            self.pause = Duration::ZERO;
        }
    }

    /// Rests, longer each time, but not longer than `at_most`.
    async fn rest(&mut self, at_most: Duration) {
        self.pause = self.pause.mul_f32(1.5).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        tokio::time::sleep(self.pause.min(at_most)).await;
    }
}
