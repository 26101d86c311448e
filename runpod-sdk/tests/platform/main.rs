//! The local platform over HTTP, as clients and workers meet it.
#![cfg(feature = "local-server")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test's helper reports")]

mod access;
mod churn;
mod jobs;
mod openai;
mod streams;
mod support;
mod time;
mod webhooks;
mod workers;
