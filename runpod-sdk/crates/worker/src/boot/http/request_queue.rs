//! The platform of the HTTP modes: requests wait here to become jobs, and reports of jobs go to their requests.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::job::{Job, JobId, JobReport};
use crate::platform::{Platform, Reply};
use crate::runtime::{ActiveJobs, Slots};

/// The events that may wait for a client to read them. Beyond that the handler's stream waits.
const AHEAD: usize = 16;

/// The queue of requests, and the platform of a worker that answers them.
#[derive(Debug)]
pub(super) struct RequestQueue {
    state: Mutex<QueueState>,
    /// Notified when a request is added.
    arrived: Notify,
    /// Notified when a client has hung up.
    left: Notify,
    pub(super) active_jobs: Arc<ActiveJobs>,
    /// The most requests that wait while every slot is taken.
    queue: usize,
}

#[derive(Debug, Default)]
struct QueueState {
    phase: Phase,
    waiting: VecDeque<Job>,
    /// The requests that wait for an answer.
    open: HashMap<JobId, OpenRequest>,
    /// The running jobs whose client has hung up.
    left: Vec<JobId>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Starting,
    Open(Slots),
    Closing,
}

#[derive(Debug)]
struct OpenRequest {
    events: mpsc::Sender<Event>,
    came: Instant,
    taken: Option<Instant>,
}

/// An event of a job, for its request.
#[derive(Debug)]
pub(super) enum Event {
    Progress(JobReport),
    Chunk(JobReport),
    End {
        report: JobReport,
        waited: Duration,
        ran: Duration,
    },
}

/// The answer to a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Starting,
    Ready,
    Closing,
}

/// The reason for which a request does not become a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    Starting,
    Full,
    Closing,
    /// A job with this id is active.
    Duplicate,
}

/// A request whose job waits or runs. Dropping it before the end cancels the job.
#[derive(Debug)]
pub(super) struct Ticket {
    id: JobId,
    requests: Arc<RequestQueue>,
    events: mpsc::Receiver<Event>,
}

impl Ticket {
    pub(super) fn id(&self) -> &JobId {
        &self.id
    }

    /// The next event; `None` if the worker has ended without an end of the job.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.requests.leave(&self.id);
    }
}

impl RequestQueue {
    pub(super) fn new(active_jobs: Arc<ActiveJobs>, queue: usize) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Notify::new(),
            left: Notify::new(),
            active_jobs,
            queue,
        }
    }

    /// Starts to make requests into jobs, for these slots.
    pub(super) fn open(&self, slots: Slots) {
        self.lock().phase = Phase::Open(slots);
    }

    /// Accepts no more requests, and refuses those whose job has not begun.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closing;
        for job in std::mem::take(&mut state.waiting) {
            state.open.remove(job.id());
        }
    }

    /// Drops every open request.
    pub(super) fn hang_up(&self) {
        self.close();
        self.lock().open.clear();
    }

    pub(super) fn health(&self) -> Health {
        match self.lock().phase {
            Phase::Starting => Health::Starting,
            Phase::Open(_) => Health::Ready,
            Phase::Closing => Health::Closing,
        }
    }

    /// Whether the worker is ready and does not drain.
    pub(super) fn is_open(&self) -> Result<(), Rejection> {
        match self.health() {
            Health::Starting => Err(Rejection::Starting),
            Health::Ready => Ok(()),
            Health::Closing => Err(Rejection::Closing),
        }
    }

    /// Whether a request would be accepted now. It is called before the body is read.
    pub(super) fn room(&self) -> Result<(), Rejection> {
        self.room_in(&self.lock())
    }

    fn room_in(&self, state: &QueueState) -> Result<(), Rejection> {
        match &state.phase {
            Phase::Starting => Err(Rejection::Starting),
            Phase::Closing => Err(Rejection::Closing),
            // Jobs without a client count until they end, because they still have their slots.
            Phase::Open(slots)
                if self.active_jobs.len() + state.waiting.len() >= slots.limit() + self.queue =>
            {
                Err(Rejection::Full)
            }
            Phase::Open(_) => Ok(()),
        }
    }

    /// Queues the job of a request.
    pub(super) fn submit(self: &Arc<Self>, job: Job) -> Result<Ticket, Rejection> {
        let mut state = self.lock();
        self.room_in(&state)?;
        let id = job.id().clone();
        if state.open.contains_key(&id) || self.active_jobs.contains(&id) {
            return Err(Rejection::Duplicate);
        }
        let (sender, events) = mpsc::channel(AHEAD);
        state.open.insert(
            id.clone(),
            OpenRequest {
                events: sender,
                came: Instant::now(),
                taken: None,
            },
        );
        state.waiting.push_back(job);
        drop(state);
        self.arrived.notify_waiters();
        Ok(Ticket {
            id,
            requests: self.clone(),
            events,
        })
    }

    /// Removes a request whose ticket is dropped.
    fn leave(&self, id: &JobId) {
        let mut state = self.lock();
        // Without an entry it was answered.
        let Some(open) = state.open.remove(id) else { return };
        if open.taken.is_some() {
            state.left.push(id.clone());
            drop(state);
            self.left.notify_waiters();
        } else {
            state.waiting.retain(|job| job.id() != id);
        }
    }

    /// The channel to the request of a job, if its client still waits.
    fn listener(&self, id: &JobId) -> Option<mpsc::Sender<Event>> {
        self.lock().open.get(id).map(|open| open.events.clone())
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock()
    }
}

/// Waits until `look` finds something. `changed` is notified of each change.
async fn until<T>(changed: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        let more = changed.notified();
        tokio::pin!(more);
        // Registered before the look, so that a change in between is not missed.
        more.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        more.await;
    }
}

/// Sends an event to a request, once its client has read enough of the events before. The connection of a client that
/// reads nothing is closed after a while. Without a client the event is dropped, and the job is cancelled elsewhere.
async fn send_event(listener: &mpsc::Sender<Event>, event: Event) {
    let _ = listener.send(event).await;
}

impl Platform for RequestQueue {
    fn take_jobs<'a>(
        &'a self,
        at_most: NonZeroUsize,
        _busy: bool,
        give_up: &'a CancellationToken,
    ) -> Reply<'a, Vec<Job>> {
        Box::pin(async move {
            let jobs = until(&self.arrived, || {
                let mut state = self.lock();
                let number = state.waiting.len().min(at_most.get());
                let jobs: Vec<Job> = state.waiting.drain(..number).collect();
                for job in &jobs {
                    if let Some(open) = state.open.get_mut(job.id()) {
                        open.taken = Some(Instant::now());
                    }
                }
                (!jobs.is_empty()).then_some(jobs)
            });
            tokio::select! {
                biased;
                () = give_up.cancelled() => Ok(Vec::new()),
                jobs = jobs => Ok(jobs),
            }
        })
    }

    fn post_chunk<'a>(&'a self, job: &'a JobId, chunk: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move {
            if let Some(listener) = self.listener(job) {
                send_event(&listener, Event::Chunk(chunk.clone())).await;
            }
            Ok(())
        })
    }

    fn post_report<'a>(&'a self, job: &'a JobId, report: &'a JobReport) -> Reply<'a, ()> {
        Box::pin(async move {
            if report.is_progress() {
                // An update without room is dropped: the next one replaces it.
                if let Some(listener) = self.listener(job) {
                    let _ = listener.try_send(Event::Progress(report.clone()));
                }
                return Ok(());
            }
            // From here on a dropped ticket does not cancel the job.
            let Some(open) = self.lock().open.remove(job) else {
                return Ok(());
            };
            let taken = open.taken.unwrap_or(open.came);
            let end = Event::End {
                report: report.clone(),
                waited: taken.duration_since(open.came),
                ran: taken.elapsed(),
            };
            send_event(&open.events, end).await;
            Ok(())
        })
    }

    fn heartbeat<'a>(&'a self, _: &'a [JobId]) -> Reply<'a, ()> {
        Box::pin(async move { Ok(()) })
    }

    fn stop_signals(&self) -> Reply<'_, Vec<JobId>> {
        Box::pin(async move {
            Ok(until(&self.left, || {
                let left = std::mem::take(&mut self.lock().left);
                (!left.is_empty()).then_some(left)
            })
            .await)
        })
    }
}
