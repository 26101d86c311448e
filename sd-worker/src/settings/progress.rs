//! Options about what clients see of a running render.

use std::time::Duration;

use clap::Args;

use super::time;

/// What is told of a render while it runs.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Progress")]
#[non_exhaustive]
pub struct ProgressSettings {
    /// Shortest time between two progress updates of a running job; 0 sends none
    #[arg(long, env = "SD_WORKER_PROGRESS_INTERVAL", value_name = "TIME", default_value = "1s", value_parser = time)]
    pub progress_interval: Duration,

    /// Show the unfinished picture in the progress updates. It costs the WebUI some time for each
    #[arg(long, env = "SD_WORKER_PREVIEW", value_parser = clap::builder::BoolishValueParser::new())]
    pub preview: bool,
}
