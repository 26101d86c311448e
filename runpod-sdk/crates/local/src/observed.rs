//! What happens on an endpoint, in order, for a display or a record in the same process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobId, JobStatus};

use crate::violation::Violation;

/// One thing that happened on an endpoint. See [`observe`](crate::LocalPlatformBuilder::observe).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Observed {
    /// A job moved on.
    Job {
        /// When, on the platform's clock.
        at: Duration,
        /// Which job.
        job: JobId,
        /// What happened to it.
        change: JobChange,
    },
    /// A worker asked for a job: it has started, and has room.
    WorkerAsked {
        /// When, on the platform's clock.
        at: Duration,
        /// Its id.
        worker: Arc<str>,
    },
    /// A worker called: for a job, with a ping, about a job, or to report itself unhealthy.
    WorkerCalled {
        /// When, on the platform's clock.
        at: Duration,
        /// Its id.
        worker: Arc<str>,
    },
    /// A worker did something against the protocol.
    Violation(Violation),
}

/// What happens to a job. Payloads are JSON as received; clones share them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JobChange {
    /// A client submitted it.
    Submitted {
        /// Its input.
        input: Bytes,
        /// Where its end is reported.
        webhook: Option<String>,
        /// Its `policy`.
        policy: Option<Bytes>,
    },
    /// A worker took it.
    Taken {
        /// The worker's id.
        worker: Arc<str>,
    },
    /// A fault handed it out once more, to this worker.
    TakenAgain {
        /// The worker's id.
        worker: Arc<str>,
    },
    /// The worker hung up before it had the job; the job is first in the queue again.
    Returned,
    /// Its worker posted a progress update.
    Progress {
        /// The update.
        output: Option<Bytes>,
    },
    /// Its worker posted a chunk of its stream.
    Chunk {
        /// The chunk.
        output: Bytes,
    },
    /// It is in the queue again because its worker was lost.
    WorkerLost,
    /// It is in the queue again because a client asked for another run.
    Retried,
    /// It is final.
    Ended {
        /// How it ended.
        status: JobStatus,
        /// Its output.
        output: Option<Bytes>,
        /// Its error, a JSON string.
        error: Option<Bytes>,
    },
    /// The platform no longer knows it.
    Forgotten,
}

type ObserverFn = dyn Fn(&str, Observed) + Send + Sync;

/// Called with each [`Observed`], in order, under the lock of the endpoint.
#[derive(Clone)]
pub(crate) struct Observer(Arc<ObserverFn>);

impl Observer {
    pub(crate) fn new(observer: impl Fn(&str, Observed) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observer))
    }

    pub(crate) fn call(&self, endpoint: &str, observed: Observed) {
        (self.0)(endpoint, observed);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// What was observed since it was last asked for. It collects nothing unless it is switched on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observations {
    on: bool,
    unread: Vec<Observed>,
}

impl Observations {
    pub(crate) fn switch_on(&mut self) {
        self.on = true;
    }

    pub(crate) fn take(&mut self) -> Vec<Observed> {
        std::mem::take(&mut self.unread)
    }

    pub(crate) fn job(&mut self, at: Duration, job: &JobId, change: impl FnOnce() -> JobChange) {
        if self.on {
            self.unread.push(Observed::Job {
                at,
                job: JobId::clone(job),
                change: change(),
            });
        }
    }

    pub(crate) fn worker_asked(&mut self, at: Duration, worker: &Arc<str>) {
        if self.on {
            let worker = Arc::clone(worker);
            self.unread.push(Observed::WorkerAsked { at, worker });
        }
    }

    pub(crate) fn worker_called(&mut self, at: Duration, worker: &Arc<str>) {
        if self.on {
            let worker = Arc::clone(worker);
            self.unread.push(Observed::WorkerCalled { at, worker });
        }
    }

    pub(crate) fn violation(&mut self, violation: &Violation) {
        if self.on {
            self.unread.push(Observed::Violation(violation.clone()));
        }
    }
}
