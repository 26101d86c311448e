//! Reports to the platform that the worker is alive, and which jobs are active
//! (`docs/protocol/worker-protocol.md` §10).
//!
//! In production it runs on a thread of its own with a client of its own, so that no handler can
//! delay it. It is sent only while the control loop gives signs of life.

use runpod_protocol::sync::Mutex;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::ActiveJobs;
use crate::error::{Error, StartupError};
use crate::events::Events;
use crate::platform::{Platform, PlatformError};

/// The waits before the second, third and fourth attempt of one ping.
const RETRIES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(4)];

/// The time of the control loop's last sign of life.
#[derive(Debug)]
pub(crate) struct Liveness {
    last: Mutex<Instant>,
    limit: Duration,
}

impl Liveness {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            last: Mutex::new(Instant::now()),
            limit,
        }
    }

    /// Gives a sign of life at each interval, while it is polled.
    pub(crate) async fn keep_fresh(self: Arc<Self>, every: Duration) {
        let mut ticks = tokio::time::interval(every.min(self.limit / 4).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            *self.last.lock() = Instant::now();
        }
    }

    /// The silence of the control loop, if it is longer than the limit.
    fn stuck_for(&self) -> Option<Duration> {
        let silence = self.last.lock().elapsed();
        (silence > self.limit).then_some(silence)
    }
}

/// Pings at a fixed interval until `stop` is cancelled.
pub(crate) async fn beat(
    platform: &dyn Platform,
    active_jobs: &ActiveJobs,
    liveness: &Liveness,
    interval: Duration,
    stop: &CancellationToken,
    events: &Events,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stuck = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Some(silence) = liveness.stuck_for() {
            if !stuck {
                error!(
                    ?silence,
                    "the worker's control loop is stuck; no more heartbeats until it moves"
                );
            }
            stuck = true;
            continue;
        }
        if stuck {
            info!("the worker's control loop moves again");
            stuck = false;
        }
        let deadline = Instant::now() + interval;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = ping(platform, active_jobs, deadline, events) => {}
        }
    }
}

/// Sends one ping, with retries until the next ping is due.
async fn ping(platform: &dyn Platform, active_jobs: &ActiveJobs, deadline: Instant, events: &Events) {
    let mut waits = RETRIES.into_iter();
    loop {
        let Some(jobs) = active_jobs.ids() else { return };
        let tried = tokio::time::timeout_at(deadline, platform.heartbeat(&jobs)).await;
        let Ok(tried) = tried else {
            return error!("heartbeat failed: no answer before the next one is due");
        };
        let Err(error) = tried else {
            return debug!(jobs = jobs.len(), "heartbeat sent");
        };
        events.request_failed(&error);
        let wait = waits
            .next()
            .filter(|_| may_pass(&error))
            .map(|wait| wait.max(error.retry_after().unwrap_or_default()));
        match wait {
            Some(wait) if Instant::now() + wait < deadline => tokio::time::sleep(wait).await,
            _ => return error!(%error, "heartbeat failed"),
        }
    }
}

/// Whether a retry of the ping may succeed.
fn may_pass(error: &PlatformError) -> bool {
    error
        .status()
        .is_none_or(|status| matches!(status, 429 | 500 | 502..=504))
}

/// The heartbeat's thread. Dropping it stops the thread.
#[derive(Debug)]
pub(crate) struct HeartbeatThread {
    stop: CancellationToken,
    connected: oneshot::Receiver<Result<(), Error>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl HeartbeatThread {
    /// Waits until the thread has its client, without which no job may be taken: the platform would give it to others.
    pub(crate) async fn connected(&mut self) -> Result<(), Error> {
        match (&mut self.connected).await {
            Ok(connected) => connected,
            Err(_) => Err(Error::Runtime("the heartbeat's thread has ended".to_owned())),
        }
    }
}

impl Drop for HeartbeatThread {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the heartbeat thread panicked");
        }
    }
}

/// Starts the heartbeat on a thread of its own, on which `connect` makes its platform.
pub(crate) fn on_thread(
    connect: impl FnOnce() -> Result<Box<dyn Platform>, Error> + Send + 'static,
    active_jobs: Arc<ActiveJobs>,
    liveness: Arc<Liveness>,
    interval: Duration,
    events: Events,
) -> Result<HeartbeatThread, Error> {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let (tell, connected) = oneshot::channel();
    let body = move || {
        let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let made = made.map_err(|source| StartupError::NoThread {
            what: "runtime for the heartbeat",
            source,
        });
        match made
            .map_err(Error::from)
            .and_then(|runtime| Ok((runtime, connect()?)))
        {
            Ok((runtime, platform)) => {
                // The start may have been given up.
                let _ = tell.send(Ok(()));
                runtime.block_on(beat(
                    &*platform,
                    &active_jobs,
                    &liveness,
                    interval,
                    &stopped,
                    &events,
                ));
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    };
    let thread = thread::Builder::new()
        .name("runpod-heartbeat".to_owned())
        .spawn(body)
        .map_err(|source| StartupError::NoThread {
            what: "thread for the heartbeat",
            source,
        })?;
    Ok(HeartbeatThread {
        stop,
        connected,
        thread: Some(thread),
    })
}
