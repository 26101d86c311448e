//! `runpod-local` as a person and a script use it, in real processes.
#![expect(clippy::unwrap_used, reason = "a panic is how a test's helper reports")]

mod alone;
mod client;
mod console;
mod faults;
mod support;
mod workers;
