//! Directories that are kept on the network volume, so that the next worker starts with their content
//! (`docs/protocol/worker-protocol.md` §15, `VolumeCache`).
//!
//! The layout is the one of RunPod's Python SDK. Python and Rust workers may share a cache:
//!
//! ```text
//! <volume>/.cache/<namespace>/manifest.json   what the cache holds; written last
//!                             small.tar       files below 256 KiB, named relative to /
//!                             big/<path>      the other files
//!                             sync.lock       which worker is writing (unknown to Python)
//! ```
//!
//! Python keeps neither symbolic links nor files under `refs/`. A Hugging Face cache that Python restores does not
//! work offline. This crate keeps both, in keys of the manifest that Python ignores. A cache that Python writes later
//! lacks them until the next [`VolumeCache::sync`] from a Rust worker.

mod archive;
mod atomic_file;
mod background;
mod bounded;
mod cache;
mod error;
mod hydrate;
mod layout;
mod lock;
mod manifest;
mod parallel;
mod scan;
mod sync;
#[cfg(test)]
mod tests;
mod writable;

pub use background::finish_syncs;
pub use cache::{Scope, VolumeCache};
pub use error::VolumeCacheError;
pub use sync::Synced;
