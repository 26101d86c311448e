//! Write RunPod Serverless workers in Rust.

#[cfg(feature = "client")]
pub mod client;
