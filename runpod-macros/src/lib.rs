//! The `#[handler]` attribute of `runpod-sdk`.
