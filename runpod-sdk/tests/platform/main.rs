//! The local platform over HTTP, as clients and workers meet it.
#![cfg(feature = "local-server")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test's helper reports")]

mod access;
mod churn;
mod faults;
mod jobs;
mod observe;
mod openai;
mod pages;
mod streams;
mod support;
mod time;
mod webhooks;
mod workers;
