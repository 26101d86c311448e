//! The events of a worker, as one stream: for metrics, health lines, tests and your own programs.
//!
//! ```
//! use runpod_sdk::events::WorkerEvent;
//! use runpod_sdk::{JobError, Worker};
//!
//! let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).on_event(|event| {
//!     if let WorkerEvent::JobFinished(job) = event {
//!         println!("{} ended: {}", job.id, job.outcome);
//!     }
//! });
//! ```
//!
//! A listener given to [`Worker::on_event`](crate::Worker::on_event) is called where the event happens.
//! A part of the program that wants to read events at its own pace takes a [`channel`].
//!
//! # The life of a job
//!
//! Each job that is taken gives exactly one [`JobTaken`](WorkerEvent::JobTaken) and one
//! [`JobFinished`](WorkerEvent::JobFinished), with a [`JobStarted`](WorkerEvent::JobStarted) between them
//! unless it was stopped before a slot was free. A job with a result then
//! gives exactly one [`ResultDelivered`](WorkerEvent::ResultDelivered),
//! [`ResultKept`](WorkerEvent::ResultKept) or [`ResultLost`](WorkerEvent::ResultLost).
//!
//! # The log
//!
//! With `RUST_LOG=runpod_sdk::events=debug` each event is also a line of the log.

mod channel;
mod emit;
mod event;
mod start_report;
mod start_timer;
mod summary;
mod window;

pub use crate::context::{Timeline, point};
pub use channel::{EventReceiver, channel};
pub(crate) use emit::Events;
pub use event::WorkerEvent;
pub use start_report::{StartPhase, StartReport};
pub(crate) use start_timer::StartTimer;
pub use summary::{JobOutcome, JobSummary};
pub use window::Window;
