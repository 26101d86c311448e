//! A platform inside the process: what the runtime is tested against, on a paused clock.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Platform, PlatformError};
use crate::job::{Job, JobId, JobReport};
use crate::json::RawJson;

/// One thing that a worker said, or that the platform did for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A take for at most so many jobs, and whether the worker called itself busy.
    Take {
        at_most: usize,
        busy: bool,
    },
    /// The platform's own part: the job was handed out.
    Given {
        job: JobId,
    },
    Chunk {
        job: JobId,
        body: String,
    },
    Progress {
        job: JobId,
        body: String,
    },
    Result {
        job: JobId,
        body: String,
        is_stream: bool,
    },
    Heartbeat {
        jobs: Vec<JobId>,
    },
}

/// What the platform does instead of what it should. Asked before each request is carried out.
pub(crate) type Faults = Box<dyn FnMut(&Said) -> Option<Fault> + Send>;

/// One way for a request to go wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The request is answered with an error and has no effect.
    Refuse(u16),
    /// The same, and a `Retry-After` with it.
    RefuseFor(u16, Duration),
    /// The request takes effect, but the worker never learns of it.
    LoseAnswer,
    /// The request does not arrive.
    LoseRequest,
    /// The request takes so long.
    Delay(Duration),
}

/// Holds jobs, hands them out and keeps what is said about them.
pub(crate) struct MemoryPlatform {
    state: Arc<Mutex<State>>,
    work: Notify,
    said: Arc<Notify>,
    hold: Duration,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    stops: Vec<JobId>,
    extra: usize,
    /// Stopped before a worker took them.
    dropped: Vec<JobId>,
    said: Vec<Said>,
    faults: Option<Faults>,
}

impl MemoryPlatform {
    /// Long polls come back empty after `hold`.
    pub(crate) fn new(hold: Duration) -> Self {
        Self {
            state: Arc::default(),
            work: Notify::new(),
            said: Arc::default(),
            hold,
        }
    }

    /// Puts a job into the queue.
    pub(crate) fn submit(&self, id: &str, input: serde_json::Value) {
        self.submit_job(Job::new(id, RawJson::from(input)));
    }

    /// Puts a whole job into the queue.
    pub(crate) fn submit_job(&self, job: Job) {
        self.lock().queue.push_back(job);
        self.work.notify_waiters();
    }

    /// Hands out so many jobs more than a take asks for.
    pub(crate) fn hand_out_more_than_asked(&self, extra: usize) {
        self.lock().extra = extra;
    }

    /// Asks the worker to stop a job.
    pub(crate) fn stop(&self, id: &str) {
        let mut state = self.lock();
        let queued = state.queue.len();
        state.queue.retain(|job| job.id().as_str() != id);
        if state.queue.len() < queued {
            state.dropped.push(id.into());
        } else {
            state.stops.push(id.into());
        }
        drop(state);
        self.work.notify_waiters();
        self.said.notify_waiters();
    }

    /// Lets `faults` decide over each request from now on.
    pub(crate) fn with_faults(&self, faults: impl FnMut(&Said) -> Option<Fault> + Send + 'static) {
        self.lock().faults = Some(Box::new(faults));
    }

    /// The jobs that have been handed out, in order.
    pub(crate) fn handed_out(&self) -> Vec<String> {
        let state = self.lock();
        let given = state.said.iter().filter_map(|said| match said {
            Said::Given { job } => Some(job.to_string()),
            _ => None,
        });
        given.collect()
    }

    /// Everything the worker has said, in order.
    pub(crate) fn said(&self) -> Vec<Said> {
        self.lock().said.clone()
    }

    /// Waits until `wanted` finds what it looks for in all that has been said.
    pub(crate) async fn until<T>(&self, wanted: impl Fn(&[Said]) -> Option<T>) -> T {
        loop {
            let more = self.said.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if let Some(found) = wanted(&self.lock().said) {
                return found;
            }
            more.await;
        }
    }

    /// Waits for the result of a job.
    pub(crate) async fn result(&self, id: &str) -> String {
        self.until(|said| {
            said.iter().find_map(|said| match said {
                Said::Result { job, body, .. } if job.as_str() == id => Some(body.clone()),
                _ => None,
            })
        })
        .await
    }

    /// Waits until a job is gone from the queue because it was stopped there.
    pub(crate) async fn until_dropped(&self, id: &JobId) {
        loop {
            let more = self.said.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if self.lock().dropped.contains(id) {
                return;
            }
            more.await;
        }
    }

    async fn hear(&self, operation: &'static str, said: Said) -> Result<(), PlatformError> {
        let fault = {
            let mut state = self.lock();
            state.faults.as_mut().and_then(|faults| faults(&said))
        };
        let refused = |status, retry_after| PlatformError::Refused {
            operation,
            status,
            retry_after,
            body: String::new(),
        };
        let broken = |reason: &str| PlatformError::Network {
            operation,
            reason: reason.to_owned(),
        };
        match fault {
            Some(Fault::Refuse(status)) => return Err(refused(status, None)),
            Some(Fault::RefuseFor(status, pause)) => return Err(refused(status, Some(pause))),
            Some(Fault::LoseRequest) => return Err(broken("connection refused")),
            Some(Fault::LoseAnswer) => {
                self.note(said);
                return Err(broken("connection reset"));
            }
            // Whoever hangs up meanwhile does not take back what is on its way.
            Some(Fault::Delay(delay)) => {
                let (state, heard) = (self.state.clone(), self.said.clone());
                let arrives = tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    state.lock().said.push(said);
                    heard.notify_waiters();
                });
                return arrives.await.map_err(|_| broken("the platform broke"));
            }
            None => {}
        }
        self.note(said);
        Ok(())
    }

    fn note(&self, said: Said) {
        self.lock().said.push(said);
        self.said.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Waits until `take` finds something, at most for the time a long poll is held.
    async fn hold<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let looking = async {
            loop {
                let work = self.work.notified();
                tokio::pin!(work);
                work.as_mut().enable();
                if let Some(found) = take(&mut self.lock()) {
                    return found;
                }
                work.await;
            }
        };
        tokio::time::timeout(self.hold, looking).await.ok()
    }
}

impl Platform for MemoryPlatform {
    async fn take_jobs(
        &self,
        at_most: NonZeroUsize,
        busy: bool,
        give_up: &CancellationToken,
    ) -> Result<Vec<Job>, PlatformError> {
        self.hear(
            "take",
            Said::Take {
                at_most: at_most.get(),
                busy,
            },
        )
        .await?;
        let jobs = self.hold(|state| {
            let number = state.queue.len().min(at_most.get() + state.extra);
            let jobs: Vec<Job> = state.queue.drain(..number).collect();
            state.said.extend(jobs.iter().map(|job| Said::Given {
                job: job.id().clone(),
            }));
            (!jobs.is_empty()).then_some(jobs)
        });
        tokio::select! {
            biased;
            jobs = jobs => Ok(jobs.unwrap_or_default()),
            () = give_up.cancelled() => Ok(Vec::new()),
        }
    }

    async fn post_chunk(&self, job: &JobId, chunk: &JobReport) -> Result<(), PlatformError> {
        self.hear(
            "stream",
            Said::Chunk {
                job: job.clone(),
                body: text(chunk),
            },
        )
        .await
    }

    async fn post_report(&self, job: &JobId, report: &JobReport) -> Result<(), PlatformError> {
        let (job, body) = (job.clone(), text(report));
        let said = if report.is_progress() {
            Said::Progress { job, body }
        } else {
            Said::Result {
                job,
                body,
                is_stream: report.is_stream(),
            }
        };
        self.hear("done", said).await
    }

    async fn heartbeat(&self, jobs: &[JobId]) -> Result<(), PlatformError> {
        self.hear("ping", Said::Heartbeat { jobs: jobs.to_vec() }).await
    }

    async fn stop_signals(&self) -> Result<Vec<JobId>, PlatformError> {
        let stops = self.hold(|state| (!state.stops.is_empty()).then(|| std::mem::take(&mut state.stops)));
        Ok(stops.await.unwrap_or_default())
    }
}

fn text(report: &JobReport) -> String {
    String::from_utf8_lossy(&report.pieces().concat()).into_owned()
}
