//! The runtime of a RunPod Serverless worker. Use it through `runpod-sdk`, which re-exports what is public here.
//!
//! The modules, from the ground up: `json`, `redact`, `exit`, `log_writer`, `backtrace`; `job`; `settings`, `scratch`, `panics`;
//! `context`; `handler`; `input`; `platform`; `error`, `events`; `hooks`, `telemetry`, `journal`, `fitness`, `web`; `metrics`; `runtime`;
//! `worker`; `router`; `boot`; `testing`. Each imports only from groups before its own; `cargo xtask layers` checks it.
#![cfg_attr(docsrs, feature(doc_cfg))]

// What `#[handler]` writes in this crate's own tests finds the crate by its name.
#[cfg(all(test, feature = "macros"))]
extern crate self as runpod_sdk;

mod backtrace;
pub mod boot;
pub mod context;
pub mod error;
pub mod events;
mod exit;
pub mod fitness;
pub mod handler;
mod hooks;
#[cfg(feature = "schema")]
mod input;
pub mod job;
mod journal;
pub mod json;
mod log_writer;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
mod panics;
mod platform;
pub mod prelude;
pub mod redact;
mod router;
mod runtime;
mod scratch;
pub mod settings;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
#[cfg(feature = "http-modes")]
#[cfg_attr(docsrs, doc(cfg(feature = "http-modes")))]
pub mod web;
mod worker;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use boot::start;
pub use context::Context;
pub use error::Error;
pub use exit::before_exit;
pub use handler::{MaybeStreaming, State, Streaming};
#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
pub use input::{Checked, Validated};
pub use job::{ErrorClass, ErrorCode, IntoJobError, Job, JobError, JobId, JobResult};
pub use router::Router;
#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use runpod_macros::handler;
pub use settings::{Concurrency, Journal, TakeAhead};
pub use worker::Worker;
#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
#[doc(no_inline)]
pub use {garde, schemars};
