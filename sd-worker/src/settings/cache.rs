//! Options about requests that come again.

use clap::Args;

/// Requests that come again.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Requests that come again")]
#[non_exhaustive]
pub struct CacheSettings {
    /// Keep answers in so many MiB of memory, and answer a txt2img or img2img that comes again with them, if its seed
    /// is given; 0 keeps none. Changes that are made past this worker, such as on the WebUI's own page, are not seen
    #[arg(
        long,
        env = "SD_WORKER_RESPONSE_CACHE",
        value_name = "MIB",
        default_value_t = 0
    )]
    pub response_cache: u32,
}
