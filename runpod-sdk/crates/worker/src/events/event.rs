//! The events of a worker.

use std::fmt;
use std::time::Duration;

use super::StartReport;
use super::{JobSummary, Timeline};
use crate::job::JobId;

/// An event in the life of a worker.
///
/// More events, and more fields of events, may come with any release: match with `..` and a last arm.
/// No event holds an input, an output or a key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// The worker starts. Fitness checks and the loading of the state follow.
    #[non_exhaustive]
    Started {
        /// The number of jobs that may run at once.
        slots: usize,
    },
    /// The worker is fit and its state is loaded. The first take follows.
    #[non_exhaustive]
    Ready,
    /// The first request for jobs was sent. Holds the phases of the start.
    FirstTake(StartReport),
    /// The limit of jobs that may run at once has changed.
    #[non_exhaustive]
    SlotsChanged {
        /// The new limit.
        slots: usize,
    },
    /// The platform was asked for jobs and had none.
    #[non_exhaustive]
    TakeEmpty {
        /// How long the platform held the poll.
        after: Duration,
    },
    /// A job has arrived.
    #[non_exhaustive]
    JobTaken {
        /// The job.
        job: JobId,
        /// The batch it belongs to, if any.
        batch: Option<String>,
    },
    /// A job has a slot. Its hooks and its handler follow.
    #[non_exhaustive]
    JobStarted {
        /// The job.
        job: JobId,
        /// Time since it arrived.
        waited: Duration,
    },
    /// A progress update has reached the platform.
    #[non_exhaustive]
    ProgressSent {
        /// The job.
        job: JobId,
        /// Size of the body.
        bytes: usize,
    },
    /// A chunk of a streaming handler has reached the platform.
    #[non_exhaustive]
    ChunkSent {
        /// The job.
        job: JobId,
        /// Size of the body.
        bytes: usize,
    },
    /// A job has ended on this worker. The delivery of its result follows, if it has one.
    JobFinished(JobSummary),
    /// A result did not reach the platform and will be sent again.
    #[non_exhaustive]
    DeliveryRetried {
        /// The job.
        job: JobId,
        /// The number of posts that have failed so far.
        attempt: u32,
        /// The platform's status, if it answered.
        status: Option<u16>,
        /// What went wrong.
        reason: String,
        /// Time until the next post.
        wait: Duration,
    },
    /// A result has reached the platform.
    #[non_exhaustive]
    ResultDelivered {
        /// The job.
        job: JobId,
        /// Size of the body.
        bytes: usize,
        /// The number of posts.
        attempts: u32,
        /// Time since the job was finished.
        took: Duration,
        /// All points of the job, including its delivery.
        timeline: Timeline,
    },
    /// A result could not be delivered in time and waits in the [journal](crate::Journal).
    #[non_exhaustive]
    ResultKept {
        /// The job.
        job: JobId,
        /// Size of the body.
        bytes: usize,
        /// Why it could not be delivered.
        reason: String,
    },
    /// A result did not reach the platform and this worker will not try again.
    #[non_exhaustive]
    ResultLost {
        /// The job.
        job: JobId,
        /// Size of the body.
        bytes: usize,
        /// Why.
        reason: String,
    },
    /// A request to the platform failed; the worker decides for each kind whether it tries again.
    #[non_exhaustive]
    RequestFailed {
        /// `take`, `done`, `stream`, `stop` or `ping`.
        operation: &'static str,
        /// The platform's status, if it answered.
        status: Option<u16>,
        /// What went wrong.
        reason: String,
    },
    /// A request to a route of the program's own has been answered: the head of the response is there, its body may follow.
    #[non_exhaustive]
    RequestAnswered {
        /// The request's method.
        method: String,
        /// The route as the program has it, such as `/models/{name}`; `None` where no route fits.
        route: Option<String>,
        /// The response's status; 101 for a WebSocket.
        status: u16,
        /// Time since the request's head was there.
        took: Duration,
    },
    /// Takes fail, because the platform cannot be reached or refuses them. The worker keeps trying.
    #[non_exhaustive]
    PlatformUnreachable {
        /// What went wrong.
        reason: String,
    },
    /// The platform answers takes again.
    #[non_exhaustive]
    PlatformRecovered {
        /// How long takes failed.
        after: Duration,
    },
    /// The worker asks the platform to replace it.
    #[non_exhaustive]
    Refreshing {
        /// The job that asked for it, or the reason for which the worker's [`Intake`](crate::settings::Intake) was retired.
        reason: String,
    },
    /// No more jobs are taken for now: the worker's [`Intake`](crate::settings::Intake) is paused.
    #[non_exhaustive]
    Paused {
        /// The reason that [`Intake::pause`](crate::settings::Intake::pause) was given.
        reason: String,
    },
    /// Jobs are taken again.
    #[non_exhaustive]
    Resumed,
    /// No more jobs are taken.
    #[non_exhaustive]
    Draining {
        /// The number of active jobs.
        jobs: usize,
    },
    /// The worker ends: every result is delivered or given up, and the shutdown hooks have run.
    #[non_exhaustive]
    Stopped {
        /// The number of jobs that are left for other workers.
        jobs_left: usize,
        /// The error for which the worker ends; `None` at an orderly end.
        error: Option<String>,
    },
}

impl fmt::Display for WorkerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { slots } => write!(f, "started: slots={slots}"),
            Self::Ready => f.write_str("ready"),
            Self::FirstTake(report) => write!(f, "first take: {report}"),
            Self::SlotsChanged { slots } => write!(f, "slots changed: slots={slots}"),
            Self::TakeEmpty { after } => write!(f, "take empty: after={after:?}"),
            Self::JobTaken { job, .. } => write!(f, "job taken: {job}"),
            Self::JobStarted { job, waited } => write!(f, "job started: {job} waited={waited:?}"),
            Self::ProgressSent { job, bytes } => write!(f, "progress sent: {job} bytes={bytes}"),
            Self::ChunkSent { job, bytes } => write!(f, "chunk sent: {job} bytes={bytes}"),
            Self::JobFinished(summary) => write!(f, "job finished: {} {}", summary.id, summary.outcome),
            Self::DeliveryRetried {
                job,
                attempt,
                reason,
                wait,
                ..
            } => write!(
                f,
                "delivery retried: {job} attempt={attempt} wait={wait:?} {reason}"
            ),
            Self::ResultDelivered {
                job,
                bytes,
                attempts,
                took,
                ..
            } => write!(
                f,
                "result delivered: {job} bytes={bytes} attempts={attempts} took={took:?}"
            ),
            Self::ResultKept { job, bytes, reason } => write!(f, "result kept: {job} bytes={bytes} {reason}"),
            Self::ResultLost { job, bytes, reason } => write!(f, "result lost: {job} bytes={bytes} {reason}"),
            Self::RequestFailed { reason, .. } => write!(f, "request failed: {reason}"),
            Self::RequestAnswered {
                method,
                route,
                status,
                took,
            } => {
                let route = route.as_deref().unwrap_or("no route");
                write!(
                    f,
                    "request answered: {method} {route} status={status} took={took:?}"
                )
            }
            Self::PlatformUnreachable { reason } => write!(f, "platform unreachable: {reason}"),
            Self::PlatformRecovered { after } => write!(f, "platform recovered: after={after:?}"),
            Self::Refreshing { reason } => write!(f, "refreshing: {reason}"),
            Self::Paused { reason } => write!(f, "paused: {reason}"),
            Self::Resumed => f.write_str("resumed"),
            Self::Draining { jobs } => write!(f, "draining: jobs={jobs}"),
            Self::Stopped { jobs_left, error } => match error {
                Some(error) => write!(f, "stopped: jobs_left={jobs_left} {error}"),
                None => write!(f, "stopped: jobs_left={jobs_left}"),
            },
        }
    }
}
