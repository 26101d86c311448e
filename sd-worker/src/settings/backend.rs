//! Options about the WebUI's process and its health.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::time;
use crate::process::CommandLine;
use crate::webui::WarmUp;

/// How the WebUI is started, watched and mended.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The WebUI's process and its health")]
#[non_exhaustive]
pub struct BackendSettings {
    /// Start the WebUI with this command, forward its log, start it again when it dies, and end it with the
    /// worker. Split into words as a shell does, but run without one
    #[arg(long, env = "SD_WORKER_WEBUI_COMMAND", value_name = "COMMAND")]
    pub webui_command: Option<CommandLine>,

    /// Directory to start it in
    #[arg(
        long,
        env = "SD_WORKER_WEBUI_DIR",
        value_name = "DIRECTORY",
        requires = "webui_command"
    )]
    pub webui_dir: Option<PathBuf>,

    /// Restart a WebUI that the worker did not start itself over its API. It must have been started with
    /// --api-server-stop, and something else must start it again
    #[arg(long, env = "SD_WORKER_WEBUI_RESTART_BY_API", conflicts_with = "webui_command", value_parser = clap::builder::BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub webui_restart_by_api: bool,

    /// How long a WebUI that the worker can't restart may stay ill before the worker asks to be replaced. Until then
    /// it takes no job and tries a small picture after 1 s, 2 s, 4 s … 32 s; 0 asks at the first failure
    #[arg(long, env = "SD_WORKER_WEBUI_PATIENCE", value_name = "TIME", default_value = "2m", value_parser = time)]
    pub webui_patience: Duration,

    /// The checkpoint that must be loaded before the first job is taken: title, file name or hash
    #[arg(long, env = "SD_WORKER_CHECKPOINT", value_name = "NAME")]
    pub checkpoint: Option<String>,

    /// Render before the first job is taken, which proves that the model is loaded: one txt2img request or a list
    /// of them, as JSON; without a value 64x64 pixels in one step
    #[arg(long, env = "SD_WORKER_WARM_UP", value_name = "JSON", num_args = 0..=1, default_missing_value = "on")]
    pub warm_up: Option<WarmUp>,

    /// Give up a render that has made no step for so long: interrupt it, and restart the WebUI if that does not
    /// help. Not before its first step, because a model may be loading; 0 never does
    #[arg(long, env = "SD_WORKER_STALL_AFTER", value_name = "TIME", default_value = "2m", value_parser = time)]
    pub stall_after: Duration,

    /// Restart a WebUI of --webui-command between two jobs when its processes hold more memory than this:
    /// 24GB, 900MB
    #[arg(long, env = "SD_WORKER_MEMORY_CEILING", value_name = "SIZE", requires = "webui_command", value_parser = size)]
    pub memory_ceiling: Option<u64>,
}

/// Reads `24GB`, `24GiB`, `900MB` or a bare number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len()
        - text
            .trim_start_matches(|character: char| character.is_ascii_digit())
            .len();
    let number: u64 = text[..digits]
        .parse()
        .map_err(|_| "write a size such as 24GB".to_owned())?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return Err("write a size in MB, MiB, GB or GiB, such as 24GB".to_owned()),
    };
    number.checked_mul(unit).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("24GB"), Ok(24_000_000_000));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        assert_eq!(size("900mb"), Ok(900_000_000));
        assert_eq!(size("5"), Ok(5));
        for bad in ["", "GB", "1.5GB", "-1", "3 apples", "99999999999GB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
