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
//! - `web`: for web programs of one's own on a load-balancing endpoint (feature `http-modes`).
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
//! | `schema` | inputs checked against their JSON Schema (`schemars` 1), rules of `garde` 0.23 |
//! | `testing` | a harness that runs a worker inside a test |
//! | `download` | downloads of URLs that jobs name, safe against requests to inner addresses |
//! | `upload` | uploads to S3-compatible storage |
//! | `gpu` | fitness checks of the GPU, through the driver's own library |
//! | `volume-cache` | directories kept on the network volume, shared with Python workers |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use runpod_client as client;
#[cfg(feature = "local-server")]
#[cfg_attr(docsrs, doc(cfg(feature = "local-server")))]
pub use runpod_local as local;

pub use runpod_files::model_cache;
#[cfg(any(feature = "download", feature = "upload"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "download", feature = "upload"))))]
pub use runpod_files::storage;
#[cfg(feature = "volume-cache")]
#[cfg_attr(docsrs, doc(cfg(feature = "volume-cache")))]
pub use runpod_files::volume_cache;

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use runpod_worker::metrics;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use runpod_worker::testing;
#[cfg(feature = "http-modes")]
#[cfg_attr(docsrs, doc(cfg(feature = "http-modes")))]
pub use runpod_worker::web;
pub use runpod_worker::{boot, context, error, events, fitness, job, json, prelude, redact, settings};

#[doc(hidden)]
pub use runpod_worker::__private;

// The module and, with the feature `macros`, the attribute.
pub use runpod_worker::handler;
#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
pub use runpod_worker::{Checked, Validated};
pub use runpod_worker::{
    Concurrency, Context, Error, ErrorClass, ErrorCode, IntoJobError, Job, JobError, JobId, JobResult,
    Journal, MaybeStreaming, Router, State, Streaming, TakeAhead, Worker, start,
};
#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
#[doc(no_inline)]
pub use runpod_worker::{garde, schemars};

/// The README's examples, so that they are compiled with the other doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeExamples;

/// The examples for those who move from Python.
#[cfg(all(
    doctest,
    feature = "download",
    feature = "macros",
    feature = "schema",
    feature = "testing",
    feature = "upload"
))]
#[doc = include_str!("../../docs/moving-from-python.md")]
struct MovingFromPythonExamples;

/// The examples of `#[handler]`, which need this crate.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../../runpod-macros/src/handler.md")]
struct HandlerExamples;
