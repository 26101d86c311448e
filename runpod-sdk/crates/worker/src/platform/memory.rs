//! A platform in memory, for tests of the runtime and of handlers on a paused clock.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Platform, PlatformError, Reply};
use crate::job::{Job, JobId, JobReport};
use crate::json::RawJson;

/// One request of a worker, or the platform handing out a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// A take: the most jobs it asks for, and whether the worker has active ones.
    Take {
        at_most: usize,
        busy: bool,
    },
    /// A job handed out by the platform.
    HandedOut {
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

/// Decides on a fault for each request, before it is carried out.
pub(crate) type Faults = Box<dyn FnMut(&Exchange) -> Option<Fault> + Send>;

/// A fault of one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The request is answered with an error and has no effect.
    Refuse(u16),
    /// The request is answered with an error and a `Retry-After`, and has no effect.
    RefuseFor(u16, Duration),
    /// The request takes effect, and its answer is lost.
    LoseAnswer,
    /// The request does not arrive.
    LoseRequest,
    /// The request arrives after this time.
    Delay(Duration),
}

/// Queues jobs, hands them out, and records every request.
pub(crate) struct MemoryPlatform {
    state: Arc<Mutex<PlatformState>>,
    work: Notify,
    exchanged: Arc<Notify>,
    hold: Duration,
}

#[derive(Default)]
struct PlatformState {
    queue: VecDeque<Job>,
    stops: Vec<JobId>,
    extra: usize,
    /// Jobs that were stopped in the queue.
    dropped: Vec<JobId>,
    exchanges: Vec<Exchange>,
    faults: Option<Faults>,
}

impl MemoryPlatform {
    /// Long polls come back empty after `hold`.
    pub(crate) fn new(hold: Duration) -> Self {
        Self {
            state: Arc::default(),
            work: Notify::new(),
            exchanged: Arc::default(),
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

    /// Hands out `extra` more jobs than a take asks for.
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
        self.exchanged.notify_waiters();
    }

    /// Lets `faults` decide over each request from now on.
    pub(crate) fn with_faults(&self, faults: impl FnMut(&Exchange) -> Option<Fault> + Send + 'static) {
        self.lock().faults = Some(Box::new(faults));
    }

    /// The jobs that have been handed out, in order.
    pub(crate) fn handed_out(&self) -> Vec<String> {
        let state = self.lock();
        let given = state.exchanges.iter().filter_map(|exchange| match exchange {
            Exchange::HandedOut { job } => Some(job.to_string()),
            _ => None,
        });
        given.collect()
    }

    /// Every exchange so far, in order.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.lock().exchanges.clone()
    }

    /// Waits until `wanted` finds what it looks for among the exchanges.
    pub(crate) async fn until<T>(&self, wanted: impl Fn(&[Exchange]) -> Option<T>) -> T {
        loop {
            let more = self.exchanged.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if let Some(found) = wanted(&self.lock().exchanges) {
                return found;
            }
            more.await;
        }
    }

    /// Waits for the result of a job.
    pub(crate) async fn result(&self, id: &str) -> String {
        self.until(|exchanges| {
            exchanges.iter().find_map(|exchange| match exchange {
                Exchange::Result { job, body, .. } if job.as_str() == id => Some(body.clone()),
                _ => None,
            })
        })
        .await
    }

    /// Waits until a job is gone from the queue because it was stopped there.
    pub(crate) async fn until_dropped(&self, id: &JobId) {
        loop {
            let more = self.exchanged.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if self.lock().dropped.contains(id) {
                return;
            }
            more.await;
        }
    }

    async fn receive(&self, operation: &'static str, exchange: Exchange) -> Result<(), PlatformError> {
        let fault = {
            let mut state = self.lock();
            state.faults.as_mut().and_then(|faults| faults(&exchange))
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
                self.note(exchange);
                return Err(broken("connection reset"));
            }
            // A delayed request arrives even if the worker stops waiting for it.
            Some(Fault::Delay(delay)) => {
                let (state, exchanged) = (self.state.clone(), self.exchanged.clone());
                let arrives = tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    state.lock().exchanges.push(exchange);
                    exchanged.notify_waiters();
                });
                return arrives.await.map_err(|_| broken("the platform broke"));
            }
            None => {}
        }
        self.note(exchange);
        Ok(())
    }

    fn note(&self, exchange: Exchange) {
        self.lock().exchanges.push(exchange);
        self.exchanged.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, PlatformState> {
        self.state.lock()
    }

    /// Holds a long poll until `take` finds something.
    async fn hold<T>(&self, mut take: impl FnMut(&mut PlatformState) -> Option<T>) -> Option<T> {
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
    fn take_jobs<'a>(
        &'a self,
        at_most: NonZeroUsize,
        busy: bool,
        give_up: &'a CancellationToken,
    ) -> Reply<'a, Vec<Job>> {
        Box::pin(async move {
            self.receive(
                "take",
                Exchange::Take {
                    at_most: at_most.get(),
                    busy,
                },
            )
            .await?;
            let jobs = self.hold(|state| {
                let number = state.queue.len().min(at_most.get() + state.extra);
                let jobs: Vec<Job> = state.queue.drain(..number).collect();
                state.exchanges.extend(jobs.iter().map(|job| Exchange::HandedOut {
                    job: job.id().clone(),
                }));
                (!jobs.is_empty()).then_some(jobs)
            });
            tokio::select! {
                biased;
                jobs = jobs => Ok(jobs.unwrap_or_default()),
                () = give_up.cancelled() => Ok(Vec::new()),
            }
        })
    }

    fn post_chunk<'a>(&'a self, job: &'a JobId, chunk: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move {
            self.receive(
                "stream",
                Exchange::Chunk {
                    job: job.clone(),
                    body: text(chunk),
                },
            )
            .await
        })
    }

    fn post_report<'a>(&'a self, job: &'a JobId, report: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move {
            let (job, body) = (job.clone(), text(report));
            let exchange = if report.is_progress() {
                Exchange::Progress { job, body }
            } else {
                Exchange::Result {
                    job,
                    body,
                    is_stream: report.is_stream(),
                }
            };
            self.receive("done", exchange).await
        })
    }

    fn heartbeat<'a>(&'a self, jobs: &'a [JobId]) -> Reply<'a, ()> {
        Box::pin(async move {
            self.receive("ping", Exchange::Heartbeat { jobs: jobs.to_vec() })
                .await
        })
    }

    fn stop_signals(&self) -> Reply<'_, Vec<JobId>> {
        Box::pin(async move {
            let stops =
                self.hold(|state| (!state.stops.is_empty()).then(|| std::mem::take(&mut state.stops)));
            Ok(stops.await.unwrap_or_default())
        })
    }
}

fn text(report: &JobReport) -> String {
    String::from_utf8_lossy(&report.pieces().concat()).into_owned()
}
