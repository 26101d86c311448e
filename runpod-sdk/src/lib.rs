//! Write RunPod Serverless workers in Rust.
//!
//! A worker takes jobs from RunPod's queue over HTTP, runs a handler for each and posts what it
//! returns. This crate is everything around the handler: taking, running, progress, cancellation,
//! delivery, heartbeat and shutdown.
//!
//! ```no_run
//! use runpod_sdk::prelude::*;
//!
//! #[derive(serde::Deserialize)]
//! struct Greeting {
//!     name: String,
//! }
//!
//! #[handler]
//! async fn greet(input: Greeting) -> JobResult<String> {
//!     Ok(format!("Hello, {}!", input.name))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     runpod_sdk::start(greet::worker())
//! }
//! ```
//!
//! Run it on a laptop with `--test_input '{"input": {"name": "World"}}'`.
//!
//! # Contents
//!
//! - [`start`]: runs a worker until it is told to stop.
//! - [`Worker`]: a handler with its options.
//! - [`handler`](mod@handler): what a handler may take and return.
//! - [`Router`]: several handlers in one worker, by a name in the input.
//! - [`Context`]: cancellation, deadline, progress.
//! - [`events`]: what the worker goes through, for metrics and programs of your own.
//! - [`JobError`]: what the caller is told when a job fails.
//! - [`Journal`]: results that outlive the worker's process.
//! - [`fitness`]: refusing to work on a machine that is not fit for it.
//! - `local`: RunPod's platform on this machine (feature `local-server`).
//! - `client`: a client of the endpoint API (feature `client`).
//! - `testing`: a whole worker inside a test (feature `testing`).
//! - `storage`: downloads of URLs that jobs name, uploads to S3-compatible storage (features `download`
//!   and `upload`).
//! - `metrics`: figures for Prometheus (feature `metrics`).
//! - [`model_cache`]: where a model that the platform has cached lies.
//! - [`json`]: JSON that passes through byte for byte.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `macros` (default) | `#[handler]` |
//! | `client` | a client of the endpoint API |
//! | `local-server` | RunPod's platform on this machine |
//! | `http-modes` | realtime and load-balancing endpoints |
//! | `metrics` | figures for Prometheus |
//! | `otlp` | traces by OTLP, where `OTEL_EXPORTER_OTLP_ENDPOINT` is set |
//! | `schema` | inputs checked against their JSON Schema, rules of garde |
//! | `testing` | a harness that runs a worker inside a test |
//! | `download` | downloads of URLs that jobs name, safe against requests to inner addresses |
//! | `upload` | uploads to S3-compatible storage |
//! | `gpu` | fitness checks of the GPU, through the driver's own library |
//! | `volume-cache` | directories kept on the network volume, shared with Python workers |
#![cfg_attr(docsrs, feature(doc_cfg))]

// What `#[handler]` writes in this crate's own tests finds the crate by its name.
#[cfg(test)]
extern crate self as runpod_sdk;

#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub mod client;
mod config;
mod context;
mod error;
pub mod events;
pub mod fitness;
pub mod handler;
#[cfg(feature = "schema")]
mod input;
mod job;
mod journal;
pub mod json;
#[cfg(feature = "local-server")]
#[cfg_attr(docsrs, doc(cfg(feature = "local-server")))]
pub mod local;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
pub mod model_cache;
mod nearest;
mod panics;
mod platform;
pub mod prelude;
mod redact;
mod router;
mod runtime;
mod scratch;
mod start;
#[cfg(any(feature = "download", feature = "upload"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "download", feature = "upload"))))]
pub mod storage;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod tls;
#[cfg(feature = "volume-cache")]
#[cfg_attr(docsrs, doc(cfg(feature = "volume-cache")))]
pub mod volume_cache;
mod worker;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use context::{CancelReason, Context, Counter};
pub use error::Error;
pub use events::WorkerEvent;
pub use handler::{MaybeStreaming, State, Streaming};
#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
pub use input::{Checked, Validated};
pub use job::{
    ErrorClass, ErrorCode, InputProblem, IntoJobError, Job, JobError, JobId, JobResult, KnownCode,
};
pub use journal::Journal;
pub use platform::PlatformError;
pub use redact::{Hidden, hide_secret, redacted, secret};
pub use router::Router;
#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use runpod_macros::handler;
pub use start::{FLAGS, Flag, StartPhase, StartReport, start};
pub use worker::{
    Concurrency, Intake, Load, TakeAhead, UnknownTakeAhead, UnknownWhenAbandoned, WhenAbandoned, Worker,
};

/// The README's examples, so that they are compiled with the other doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeExamples;
