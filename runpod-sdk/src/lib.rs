//! Write RunPod Serverless workers in Rust.
