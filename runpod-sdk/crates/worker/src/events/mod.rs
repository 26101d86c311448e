//! What a worker goes through, as one stream of events: for metrics, health lines, tests and programs
//! of your own.
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
//! unless it was stopped before a slot was free. A job that has something to tell the platform then
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
mod summary;
mod window;

pub use crate::context::{Timeline, point};
pub use channel::{EventReceiver, channel};
pub(crate) use emit::Events;
pub use event::WorkerEvent;
pub(crate) use start_report::StartTimer;
pub use start_report::{StartPhase, StartReport};
pub use summary::{JobOutcome, JobSummary};
pub use window::Window;
