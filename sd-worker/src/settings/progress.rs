//! Options about what clients see of a running render.

use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::options_macro::options;
use super::values::time;

options! {
    /// What clients see of a running render.
    #[derive(Debug, Clone, Copy, Args)]
    #[command(next_help_heading = "Progress")]
    pub struct ProgressSettings {
        progress_interval: Duration =
            "progress-interval", "SD_WORKER_PROGRESS_INTERVAL", (value_name = "TIME", default_value = "1s", value_parser = time),
            "Shortest time between two progress updates of a running job; 0 sends none",
            when "a progress bar should move more smoothly, or no client looks at progress";

        preview: bool =
            "preview", "SD_WORKER_PREVIEW", (value_parser = BoolishValueParser::new()),
            "Add the unfinished picture to the progress updates, if its base64 has at most 200 kB. It costs the WebUI some time for each",
            when "clients show the picture as it emerges";
    }
}
