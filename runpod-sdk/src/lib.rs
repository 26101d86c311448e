//! Write RunPod Serverless workers in Rust.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "local-server")]
pub mod local;
