//! Options about the WebUI's process and its health.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::options_macro::options;
use super::values::{size, time, variable_name};
use super::{CommandLine, WarmUp};

options! {
    /// How the WebUI is started, watched and mended.
    #[derive(Debug, Clone, Args)]
    #[command(next_help_heading = "The WebUI's process and its health")]
    pub struct BackendSettings {
        webui_command: Option<CommandLine> =
            "webui-command", "SD_WORKER_WEBUI_COMMAND", (value_name = "COMMAND"),
            "Start the WebUI with this command, forward its log, start it again when it dies, and end it with the worker. Split into words as a shell does, but run without one",
            when "nothing else in the image starts the WebUI and keeps it running";

        webui_dir: Option<PathBuf> =
            "webui-dir", "SD_WORKER_WEBUI_DIR", (value_name = "DIRECTORY", requires = "webui_command"),
            "Directory to start the WebUI in",
            when "the WebUI's own directory is not the worker's";

        webui_env: Vec<String> =
            "webui-env", "SD_WORKER_WEBUI_ENV", (value_name = "NAME", value_delimiter = ',', value_parser = variable_name, requires = "webui_command"),
            "A further variable of the worker that the WebUI of --webui-command gets, with * at its end for all that begin so: `CIVITAI_*`. It gets those of every program, the GPU and Python; a variable with a key or a token only if it is named in full. May be given several times; in the variable, separate by commas",
            when "an extension or a start script reads a variable of its own, such as HF_TOKEN";

        read_ahead: Option<PathBuf> =
            "read-ahead", "SD_WORKER_READ_AHEAD", (value_name = "PATH", requires = "webui_command"),
            "Read a checkpoint into memory while the WebUI starts: a file, or a folder with one checkpoint in it",
            when "a cold start waits for the checkpoint, and its disk is the worker's own: a network volume may charge for it, and other workers read there, too";

        webui_restart_by_api: bool =
            "webui-restart-by-api", "SD_WORKER_WEBUI_RESTART_BY_API", (conflicts_with = "webui_command", value_parser = BoolishValueParser::new()),
            "Restart a WebUI that the worker did not start itself over its API",
            when "the WebUI was started with --api-server-stop, and something else starts it again when it ends";

        webui_patience: Duration =
            "webui-patience", "SD_WORKER_WEBUI_PATIENCE", (value_name = "TIME", default_value = "2m", value_parser = time),
            "How long a WebUI that the worker can't restart may stay ill before the worker asks to be replaced. Until then it takes no job and tries a small picture after 1 s, 2 s, 4 s … 32 s; 0 asks at the first failure",
            when "whatever restarts the WebUI needs longer than 2 minutes; or nothing restarts it, and waiting is in vain";

        checkpoint: Option<String> =
            "checkpoint", "SD_WORKER_CHECKPOINT", (value_name = "NAME"),
            "The checkpoint that must be loaded before the first job is taken: title, file name or hash",
            when "the WebUI has several checkpoints, and jobs rely on one of them";

        warm_up: Option<WarmUp> =
            "warm-up", "SD_WORKER_WARM_UP", (value_name = "JSON", num_args = 0..=1, default_missing_value = "on"),
            "Render before the first job is taken, which proves that the model is loaded: one txt2img request or a list of them, as JSON; without a value 64x64 pixels in one step",
            when "the first job should not wait for the model to load, or a worker whose model does not load should take no job";

        stall_after: Duration =
            "stall-after", "SD_WORKER_STALL_AFTER", (value_name = "TIME", default_value = "2m", value_parser = time),
            "Interrupt a render that has made no step for this long, and restart the WebUI if that does not help. Not before its first step, because a model may be loading; 0 never does",
            when "one step takes longer than 2 minutes, such as without a GPU";

        memory_ceiling: Option<u64> =
            "memory-ceiling", "SD_WORKER_MEMORY_CEILING", (value_name = "SIZE", requires = "webui_command", value_parser = size),
            "Restart a WebUI of --webui-command between two jobs when its processes hold more memory than this: 24GB, 900MB",
            when "the WebUI's memory grows from job to job until the container is killed";
    }
}
