//! The files of RunPod workers: downloads and uploads of jobs, caches on the network volume.
//!
//! Use it through `runpod-sdk`.

#[cfg(any(feature = "download", feature = "upload"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "download", feature = "upload"))))]
pub mod storage;

pub mod model_cache;
#[cfg(feature = "volume-cache")]
#[cfg_attr(docsrs, doc(cfg(feature = "volume-cache")))]
pub mod volume_cache;
