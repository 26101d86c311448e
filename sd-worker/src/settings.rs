//! The worker's options: command line first, then environment, then default.
//!
//! An option exists when a situation can be named in which a user has to set it. Everything else is a constant, most
//! of them in [`Tuning`].

mod address;
mod backend;
mod batch;
mod cache;
mod doctor;
mod init;
mod install;
mod options_macro;
mod output;
#[cfg(test)]
mod page;
mod progress;
mod removed;
mod requests;
mod route;
mod stream;
mod tuning;
mod values;
mod warm_up;
mod webui_command;

use std::time::Duration;

use clap::Parser;

use self::options_macro::options;
use self::values::time;

pub use self::address::{Credentials, WebUiUrl};
pub use self::backend::BackendSettings;
pub use self::batch::BatchSettings;
pub use self::cache::CacheSettings;
pub use self::doctor::DoctorOptions;
pub use self::init::{ImageWebUi, InitOptions};
pub use self::install::InstallOptions;
pub use self::output::{OutputMode, OutputSettings, Reencode};
pub use self::progress::ProgressSettings;
pub(crate) use self::removed::{removed, unread};
pub use self::requests::{CheckLevel, RequestSettings};
pub(crate) use self::route::{fits, is_route, split_query};
pub use self::stream::StreamSettings;
pub use self::tuning::Tuning;
pub use self::warm_up::WarmUp;
pub(crate) use self::warm_up::smallest_render;
pub use self::webui_command::CommandLine;

options! {
    /// Options of the worker. `--help` and `docs/sd-worker-options.md` describe them.
    #[derive(Debug, Clone, Parser)]
    #[command(
        name = "sd-worker",
        version,
        about = "A RunPod Serverless worker for the AUTOMATIC1111 Stable Diffusion WebUI.",
        long_about = LONG_ABOUT,
        after_long_help = AFTER_HELP,
        term_width = 100
    )]
    pub struct Settings {
        webui_url: WebUiUrl =
            "webui-url", "SD_WORKER_WEBUI_URL", (value_name = "URL", default_value = "http://127.0.0.1:3000"),
            "Where the WebUI listens, with a path if it is served under one: `http://127.0.0.1:3000/webui`",
            when "the WebUI has another port than 3000, or was started with --subpath";

        webui_auth: Option<Credentials> =
            "webui-auth", "SD_WORKER_WEBUI_AUTH", (value_name = "USER:PASSWORD"),
            "Credentials for the WebUI's API. Prefer the variable: other processes can see a command line",
            when "the WebUI was started with --api-auth";

        ready_timeout: Duration =
            "ready-timeout", "SD_WORKER_READY_TIMEOUT", (value_name = "TIME", default_value = "15m", value_parser = time),
            "How long the WebUI may take to become ready before the worker gives up with exit code 1; 0 waits for ever",
            when "the model is so large, or its disk so slow, that 15 minutes are too few; or a worker that does not start should be given up sooner";

        attempt_timeout: Duration =
            "attempt-timeout", "SD_WORKER_ATTEMPT_TIMEOUT", (value_name = "TIME", default_value = "600s", value_parser = time),
            "How long one attempt at a render may take. An attempt that took longer is interrupted and not repeated; 0 sets no limit. The time behind another client's render counts apart, with the same limit",
            when "renders of many large pictures take more than 10 minutes, and the endpoint's execution timeout allows it";

        retries: u32 =
            "retries", "SD_WORKER_RETRIES", (value_name = "NUMBER", default_value_t = 10),
            "How many times a render is tried again after the WebUI answered 502, 503 or 504 or accepted no connection. The waits double from 0.1 s on: 10 retries take 102 s",
            when "clients send a failed job again themselves, and should know of the failure sooner";

        ..{
            /// What jobs may ask for.
            #[command(flatten)]
            pub requests: RequestSettings,

            /// Whether jobs share batches.
            #[command(flatten)]
            pub batch: BatchSettings,

            /// Whether a repeated request is rendered again.
            #[command(flatten)]
            pub cache: CacheSettings,

            /// How pictures are delivered.
            #[command(flatten)]
            pub output: OutputSettings,

            /// Whether pictures are streamed one by one.
            #[command(flatten)]
            pub stream: StreamSettings,

            /// What to do instead of taking jobs.
            #[command(subcommand)]
            pub command: Option<Command>,

            /// What clients see of a running render.
            #[command(flatten)]
            pub progress: ProgressSettings,

            /// How the WebUI is started, watched and mended.
            #[command(flatten)]
            pub backend: BackendSettings,

            /// The constants.
            #[arg(skip)]
            pub tuning: Tuning,
        }
    }
}

/// What the program can do beside taking jobs.
#[derive(Debug, Clone, clap::Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Check everything that this worker needs, and say how to mend what is wrong
    Doctor(DoctorOptions),
    /// Write the files of an endpoint's image into an empty folder
    Init(InitOptions),
    /// Install the extension for batches of different jobs into a WebUI
    InstallExtension(InstallOptions),
}

const LONG_ABOUT: &str = "\
A RunPod Serverless worker for the AUTOMATIC1111 Stable Diffusion WebUI.

It waits for the WebUI on the same pod, takes jobs from RunPod, sends each job's input to
/sdapi/v1/txt2img as it is, and hands the answer back as it is.

Quick start, with a WebUI on port 3000 (python webui.py --api --nowebui --port 3000):

    sd-worker --test_input '{\"input\": {\"prompt\": \"an astronaut riding a horse\", \"steps\": 20}}'

On RunPod it needs no options: start it beside the WebUI, and the platform's own variables say where
its jobs are.";

const AFTER_HELP: &str = "\
Times are written 200ms, 90s or 15m; a bare number means seconds. An option on the command line wins
over its variable; a blank variable counts as unset.

Environment of every worker built with this SDK:
  RUNPOD_WORKER_CONCURRENCY      jobs at once (1); the WebUI renders one at a time all the same
  RUNPOD_WORKER_TIMEOUT          how long one job may run
  RUNPOD_WORKER_CANCEL_GRACE     for stopping the render of a cancelled job (10s)
  RUNPOD_WORKER_SHUTDOWN_GRACE   for running jobs after SIGTERM (10m)
  RUNPOD_WORKER_DELIVERY_WINDOW  for delivering one result (5m)
  RUNPOD_LOG_LEVEL, RUST_LOG     what is logged

Exit codes: 0 stopped by a signal with all results delivered, 1 could not start or go on, 2 bad options.";
