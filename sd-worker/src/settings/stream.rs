//! Options about answers that come picture by picture.

use clap::Args;
use clap::builder::BoolishValueParser;

/// Pictures one by one.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "How pictures are delivered")]
#[non_exhaustive]
pub struct StreamSettings {
    /// Stream each picture of txt2img and img2img as a chunk of its own when it is finished: clients read them from
    /// /stream. A job can say otherwise
    #[arg(long, env = "SD_WORKER_STREAM", value_parser = BoolishValueParser::new())]
    pub stream: bool,

    /// With --stream: make the list of all chunks the job's output, too. A job can say otherwise
    #[arg(long, env = "SD_WORKER_STREAM_AGGREGATE", value_parser = BoolishValueParser::new())]
    pub stream_aggregate: bool,
}
