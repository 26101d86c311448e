//! SIGTERM and SIGINT. Once they are listened for they no longer end the process by themselves.

use std::future::{self, Future};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::error::{Error, StartupError};
use crate::job::JobId;
use crate::log_writer;
use crate::runtime::{ActiveJobs, Shutdown};

/// The longest time between the second signal and the end of the process. The limits of what a worker still does then
/// (last posts, shutdown hooks, answers of the HTTP modes) are together 14 s.
const LEAVE_LIMIT: Duration = Duration::from_secs(20);
/// The longest time in which the control loop answers the second signal.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// A listener for SIGTERM and SIGINT.
#[derive(Debug)]
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopSignal {
    Terminate,
    Interrupt,
}

impl StopSignals {
    /// Starts to listen. It must be called on a tokio runtime.
    pub(super) fn listen() -> Result<Self, Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(StartupError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(StartupError::Signals)?,
        })
    }

    /// Waits for the next signal. Several equal signals at once count as one.
    pub(super) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        }
    }
}

impl StopSignal {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }

    /// The exit code of a process that this signal has ended: 128 plus the signal's number.
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}

/// A thread that listens for SIGTERM and SIGINT, so that they are heard whatever the control loop does. Dropping it ends
/// the thread.
#[derive(Debug)]
pub(super) struct StopThread {
    /// Cancelled when the worker has ended.
    ended: CancellationToken,
    /// Cancelled by the control loop when it has seen that the worker drains.
    answered: CancellationToken,
    /// Cancelled by the first signal.
    signalled: CancellationToken,
    shutdown: Shutdown,
    thread: Option<thread::JoinHandle<()>>,
}

/// What becomes of a process whose control loop does not react to a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenStuck {
    /// It exits with code 1, after this silence of the control loop.
    ExitAfter(Duration),
    /// It goes on, because the process is not the worker's own.
    GoOn,
}

impl StopThread {
    /// Starts the thread. It drains the worker at the first SIGTERM or SIGINT, and ends it at once at the second. It must
    /// not be called on a tokio runtime.
    pub(super) fn start(shutdown: Shutdown, when_stuck: WhenStuck) -> Result<Self, Error> {
        let no_thread = |source| StartupError::NoThread {
            what: "thread for signals",
            source,
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let signals = {
            let _on_it = runtime.enter();
            StopSignals::listen()?
        };
        let (ended, answered) = (CancellationToken::new(), CancellationToken::new());
        let signalled = CancellationToken::new();
        let listening = listen(
            signals,
            shutdown.clone(),
            signalled.clone(),
            answered.clone(),
            when_stuck,
        );
        let until = ended.clone();
        let thread = thread::Builder::new()
            .name("runpod-signals".to_owned())
            .spawn(move || {
                runtime.block_on(until.run_until_cancelled(listening));
            })
            .map_err(no_thread)?;
        Ok(Self {
            ended,
            answered,
            signalled,
            shutdown,
            thread: Some(thread),
        })
    }

    /// Answers for the control loop, on which it must be spawned, that it has seen the signal, and says what the worker
    /// waits for. `grace` is how long it waits for its active jobs.
    pub(super) fn answer(
        &self,
        active_jobs: Arc<ActiveJobs>,
        grace: Duration,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (drain, answered) = (self.shutdown.drain.clone(), self.answered.clone());
        let signalled = self.signalled.clone();
        async move {
            drain.cancelled().await;
            answered.cancel();
            let jobs = active_jobs.ids().unwrap_or_default();
            if signalled.is_cancelled() && !jobs.is_empty() {
                let jobs: Vec<&str> = jobs.iter().map(JobId::as_str).collect();
                info!(
                    "waiting at most {grace:?} for {} and what is left to deliver; a second signal leaves at once",
                    jobs.join(", ")
                );
            }
        }
    }
}

impl Drop for StopThread {
    fn drop(&mut self) {
        self.ended.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread for signals panicked");
        }
    }
}

async fn listen(
    mut signals: StopSignals,
    shutdown: Shutdown,
    signalled: CancellationToken,
    answered: CancellationToken,
    when_stuck: WhenStuck,
) {
    let name = signals.next().await.name();
    info!("{name} received. Shutting down.");
    signalled.cancel();
    shutdown.drain.cancel();
    let when_silent = async {
        match when_stuck {
            WhenStuck::ExitAfter(limit) => silence(&answered, limit).await,
            WhenStuck::GoOn => future::pending().await,
        }
    };
    tokio::select! {
        biased;
        again = signals.next() => {
            warn!("{} received again. Leaving at once.", again.name());
            shutdown.abandon.cancel();
        }
        () = when_silent => exit(),
    }
    if when_stuck != WhenStuck::GoOn {
        tokio::select! {
            () = silence(&answered, ANSWER_LIMIT) => {}
            () = tokio::time::sleep(LEAVE_LIMIT) => {}
        }
        exit();
    }
}

/// Returns if the control loop has not seen the signal within `limit`.
async fn silence(answered: &CancellationToken, limit: Duration) {
    if tokio::time::timeout(limit, answered.cancelled()).await.is_ok() {
        future::pending::<()>().await;
    }
}

#[expect(
    clippy::exit,
    reason = "the thread that would return the exit code is the one that is stuck"
)]
fn exit() {
    error!("the worker's control loop does not react to the signal; exiting with its jobs unfinished");
    log_writer::flush();
    std::process::exit(1);
}
