//! The local platform over HTTP, as clients and workers meet it.
#![cfg(all(feature = "local-server", feature = "client"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test's helper reports")]

mod jobs;
mod support;
mod time;
mod workers;
