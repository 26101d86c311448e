//! Options about answers that come picture by picture.

use clap::Args;
use clap::builder::BoolishValueParser;

use super::options_macro::options;

options! {
    /// Pictures one by one.
    #[derive(Debug, Clone, Copy, Args)]
    #[command(next_help_heading = "How pictures are delivered")]
    pub struct StreamSettings {
        stream: bool =
            "stream", "SD_WORKER_STREAM", (value_parser = BoolishValueParser::new()),
            "Stream each picture of txt2img and img2img as a chunk of its own when it is finished: clients read them from /stream. A job can say otherwise",
            when "clients show the first picture of a batch while the others are rendered, and can't ask for that in each job";

        stream_aggregate: bool =
            "stream-aggregate", "SD_WORKER_STREAM_AGGREGATE", (value_parser = BoolishValueParser::new()),
            "With --stream: make the list of all chunks the job's output, too. A job can say otherwise",
            when "some clients read /stream and others only the output";
    }
}
