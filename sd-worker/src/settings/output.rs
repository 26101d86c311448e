//! Options about where a job's pictures go.

use clap::Args;
use serde::Deserialize;

use super::options_macro::options;

options! {
    /// How pictures are delivered.
    #[derive(Debug, Clone, Copy, Args)]
    #[command(next_help_heading = "How pictures are delivered")]
    pub struct OutputSettings {
        output: OutputMode =
            "output", "SD_WORKER_OUTPUT", (value_name = "HOW", default_value = "inline"),
            "Where the pictures of an answer go. A job can say otherwise",
            when "answers are larger than the platform takes (10 MB, 20 MB for /runsync), or clients want URLs";

        reencode: Reencode =
            "reencode", "SD_WORKER_REENCODE", (value_name = "FORMAT", default_value = "off"),
            "With --output auto: what pictures may be re-encoded to when their answer is too large for the platform. A job can say otherwise",
            when "there is no bucket, and smaller files are better than a failed job";
    }
}

/// Where the pictures of an answer go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OutputMode {
    /// Into the output, as the WebUI's answer has them: byte for byte
    #[default]
    Inline,
    /// Into the bucket that the job brings, else into the worker's own; the output has their URLs
    Upload,
    /// Inline if the platform takes an output of that size, else re-encoded if that is allowed and enough, else
    /// uploaded
    Auto,
}

/// What pictures may be re-encoded to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Reencode {
    /// Nothing: they stay as they are
    #[default]
    Off,
    /// WebP, without loss: the same pixels
    #[value(name = "webp")]
    WebP,
    /// JPEG, with loss
    Jpeg,
}
