//! Options about batches of different jobs.

use std::time::Duration;

use clap::Args;

use super::options_macro::options;
use super::values::time;

options! {
    /// Batches of different jobs.
    #[derive(Debug, Clone, Copy, Args)]
    #[command(next_help_heading = "Batches of different jobs")]
    pub struct BatchSettings {
        batch_limit: u32 =
            "batch-limit", "SD_WORKER_BATCH_LIMIT", (value_name = "JOBS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64)),
            "The most jobs that are rendered in one batch; 1 renders each alone. Jobs of txt2img share a batch if they differ in prompts and seeds only. The worker takes this many jobs at once. The WebUI needs the extension that `sd-worker install-extension` puts there",
            when "jobs wait in the queue, and the GPU's memory has room for several pictures at once";

        batch_window: Duration =
            "batch-window", "SD_WORKER_BATCH_WINDOW", (value_name = "TIME", default_value = "50ms", value_parser = time),
            "How long an idle GPU waits for jobs that this worker has taken and still prepares, so that they share a batch. A job that is alone waits for none",
            when "preparing a job takes longer, such as by `--checks` with long lists";
    }
}
