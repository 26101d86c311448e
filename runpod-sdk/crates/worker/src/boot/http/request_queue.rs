//! Where requests wait to become jobs, and where what is said about a job finds its request.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::job::{Job, JobId, JobReport};
use crate::platform::{Platform, PlatformError};
use crate::runtime::{ActiveJobs, Slots};

/// What may wait for a client to read it. Beyond that the handler's stream has to wait.
const AHEAD: usize = 16;

/// The platform of a worker that answers requests itself.
#[derive(Debug)]
pub(super) struct RequestQueue {
    state: Mutex<State>,
    /// A request has come, or the desk has closed.
    arrived: Notify,
    /// A client has gone.
    left: Notify,
    pub(super) active_jobs: Arc<ActiveJobs>,
    /// Requests that may wait while every slot is taken.
    queue: usize,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    waiting: VecDeque<Job>,
    /// The requests that wait for an answer.
    open: HashMap<JobId, Open>,
    /// Jobs that run and whose client has gone.
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
struct Open {
    events: mpsc::Sender<Event>,
    came: Instant,
    taken: Option<Instant>,
}

/// What a request hears about its job.
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

/// What a health check is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Starting,
    Ready,
    Closing,
}

/// Why a request does not become a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    Starting,
    Full,
    Closing,
    /// There is a job of this id already.
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

    /// What happens next; `None` if the worker has gone without an end.
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

    /// Requests become jobs from now on, in these slots.
    pub(super) fn open(&self, slots: Slots) {
        self.lock().phase = Phase::Open(slots);
    }

    /// No more requests. Those whose job has not begun are told to go elsewhere.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closing;
        for job in std::mem::take(&mut state.waiting) {
            state.open.remove(job.id());
        }
    }

    /// Leaves every request without an end that has none yet.
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

    /// Whether a request would be taken now. Asked before its body is read.
    pub(super) fn room(&self) -> Result<(), NoRoom> {
        self.room_in(&self.lock())
    }

    fn room_in(&self, state: &State) -> Result<(), NoRoom> {
        match &state.phase {
            Phase::Starting => Err(NoRoom::Starting),
            Phase::Closing => Err(NoRoom::Closing),
            // Jobs without a client count until they have ended: they still have their slots.
            Phase::Open(slots)
                if self.active_jobs.len() + state.waiting.len() >= slots.limit() + self.queue =>
            {
                Err(NoRoom::Full)
            }
            Phase::Open(_) => Ok(()),
        }
    }

    /// Makes a request a job.
    pub(super) fn submit(self: &Arc<Self>, job: Job) -> Result<Ticket, NoRoom> {
        let mut state = self.lock();
        self.room_in(&state)?;
        let id = job.id().clone();
        if state.open.contains_key(&id) || self.active_jobs.has(&id) {
            return Err(NoRoom::Duplicate);
        }
        let (sender, events) = mpsc::channel(AHEAD);
        state.open.insert(
            id.clone(),
            Open {
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

    /// The request is over: answered, or its client has gone.
    fn leave(&self, id: &JobId) {
        let mut state = self.lock();
        // Without an entry it has had its end.
        let Some(open) = state.open.remove(id) else { return };
        if open.taken.is_some() {
            state.left.push(id.clone());
            drop(state);
            self.left.notify_waiters();
        } else {
            state.waiting.retain(|job| job.id() != id);
        }
    }

    /// The way to a job's request, if somebody still waits there.
    fn listener(&self, id: &JobId) -> Option<mpsc::Sender<Event>> {
        self.lock().open.get(id).map(|open| open.events.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Waits until `look` finds something. `changed` is told whenever that may be.
async fn until<T>(changed: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        let more = changed.notified();
        tokio::pin!(more);
        // Registered before looking, so that a change in between is not missed.
        more.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        more.await;
    }
}

/// Tells a request what happened, as soon as its client has read enough of what came before. A client that
/// reads nothing loses its connection some time. One that has gone hears nothing; its job is cancelled elsewhere.
async fn tell(listener: &mpsc::Sender<Event>, event: Event) {
    let _ = listener.send(event).await;
}

impl Platform for RequestQueue {
    async fn take_jobs(
        &self,
        at_most: NonZeroUsize,
        _busy: bool,
        give_up: &CancellationToken,
    ) -> Result<Vec<Job>, PlatformError> {
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
    }

    async fn post_chunk(&self, job: &JobId, chunk: &JobReport) -> Result<(), PlatformError> {
        if let Some(listener) = self.listener(job) {
            tell(&listener, Event::Chunk(chunk.clone())).await;
        }
        Ok(())
    }

    async fn post_report(&self, job: &JobId, report: &JobReport) -> Result<(), PlatformError> {
        if report.is_progress() {
            // The next update says more than one that finds no room.
            if let Some(listener) = self.listener(job) {
                let _ = listener.try_send(Event::Progress(report.clone()));
            }
            return Ok(());
        }
        // From here on the request is not one that leaves early.
        let Some(open) = self.lock().open.remove(job) else {
            return Ok(());
        };
        let taken = open.taken.unwrap_or(open.came);
        let end = Event::End {
            report: report.clone(),
            waited: taken.duration_since(open.came),
            ran: taken.elapsed(),
        };
        tell(&open.events, end).await;
        Ok(())
    }

    async fn heartbeat(&self, _: &[JobId]) -> Result<(), PlatformError> {
        Ok(())
    }

    async fn stop_signals(&self) -> Result<Vec<JobId>, PlatformError> {
        Ok(until(&self.left, || {
            let left = std::mem::take(&mut self.lock().left);
            (!left.is_empty()).then_some(left)
        })
        .await)
    }
}
