//! Options about repeated requests.

use clap::Args;

use super::options_macro::options;

options! {
    /// Repeated requests.
    #[derive(Debug, Clone, Copy, Args)]
    #[command(next_help_heading = "Repeated requests")]
    pub struct CacheSettings {
        response_cache: u32 =
            "response-cache", "SD_WORKER_RESPONSE_CACHE", (value_name = "MIB", default_value_t = 0),
            "Memory for answers, in MiB. A repeated txt2img or img2img whose seed is given is answered from it; 0 keeps none. Changes that are made past this worker, such as on the WebUI's own page, are not seen",
            when "the same requests come again and again, such as those of a gallery of examples";
    }
}
