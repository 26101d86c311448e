//! The typed client against the local platform and against servers that misbehave.
#![cfg(all(feature = "local-server", feature = "client"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test's helper reports")]

mod faults;
mod jobs;
mod streams;
mod support;
