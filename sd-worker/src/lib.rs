//! A RunPod Serverless worker for the AUTOMATIC1111 Stable Diffusion WebUI.
//!
//! It takes a job, sends the job's `input` to the WebUI on the same pod as it is, and returns the WebUI's answer as it is
//! (`docs/protocol/request-flow.md`). Beside that it waits until the WebUI is ready, keeps a broken answer from passing
//! for a result, classifies errors, reports progress, and frees the GPU when a job is cancelled.
//!
//! ```text
//!  job input ─▶ handler ─▶ compat ─▶ render ─▶ POST /sdapi/v1/txt2img ─▶ answer ─▶ output
//!                                      │  ▲                               └─ stream: picture by picture ─▶ chunks
//!                                      │  └─ progress ─▶ progress updates
//!                                      └─── cancelled ─▶ interrupt, wait for the POST
//! ```
//!
//! Modules from the ground up. A module imports only from lines above it:
//!
//! ```text
//! code splice coerce picture nearest backoff causes marks    values and helpers
//! secrets                                                    what is never shown
//! extension                                                  the WebUI's extension for batches
//! cancelled                                                  waiting for work until its job is cancelled
//! settings                                                   the options
//! environment                                                the variables of a deployed worker
//! webui                                                      the client of the WebUI
//! request                                                    a job's input
//! supervisor                                                 the WebUI's process, health and recovery
//! render                                                     a job's render
//! checks compat output                                       before and after a render
//! cache stream                                               answers that are kept, answers in chunks
//! batch                                                      different jobs in one render
//! doctor init                                                `sd-worker doctor`, `sd-worker init`
//! failure                                                    all errors as one job error
//! monitor                                                    metrics
//! app                                                        the shared parts, made at the start
//! handler                                                    the route of a job
//! command_line lib main                                      the program
//! ```

mod app;
mod backoff;
mod batch;
mod cache;
mod cancelled;
mod causes;
mod checks;
mod code;
mod coerce;
mod command_line;
mod compat;
mod doctor;
mod environment;
mod extension;
mod failure;
mod handler;
mod init;
mod marks;
mod monitor;
mod nearest;
mod output;
#[cfg(test)]
mod pages;
mod picture;
mod render;
mod request;
mod secrets;
mod settings;
mod splice;
mod stream;
mod supervisor;
mod webui;

use std::io::Write as _;
use std::process::ExitCode;

use runpod_sdk::settings::Intake;
use runpod_sdk::{TakeAhead, Worker};
use secrecy::ExposeSecret as _;

use self::supervisor::Process;

pub use command_line::CliExit;
pub use settings::{
    BackendSettings, BatchSettings, CacheSettings, CheckLevel, Command, CommandLine, Credentials,
    DoctorOptions, ImageWebUi, InitOptions, InstallOptions, OutputMode, OutputSettings, ProgressSettings,
    Reencode, RequestSettings, Settings, StreamSettings, Tuning, WarmUp, WebUiUrl,
};

/// Runs the worker until it gets a signal to stop: the whole `main` of the program.
///
/// It waits for the WebUI before it takes its first job. A WebUI that the worker started is ended and reaped before this
/// returns, also when the worker fails or panics.
#[must_use = "return the exit code from `main`"]
pub fn run(settings: Settings) -> ExitCode {
    hide_credentials(&settings);
    let process = app::own_process(&settings);
    if let Some(process) = &process {
        process.kill_on_second_signal();
    }
    let _closed_on_drop = process.clone().map(CloseOnDrop);
    runpod_sdk::start(worker(settings, process))
}

/// Checks the worker's environment and prints the findings: `sd-worker doctor`.
pub fn examine(settings: &Settings, doctor: &DoctorOptions) -> ExitCode {
    hide_credentials(settings);
    doctor::examine(
        &app::client_options(settings),
        settings.output.output,
        settings.batch.batch_limit,
        doctor,
    )
}

/// Installs the WebUI's extension for batches of different jobs, and says what was done: `sd-worker install-extension`.
pub fn install_extension(options: &InstallOptions) -> ExitCode {
    // Nothing is left to be said where a stream is closed.
    match extension::install(&options.directory) {
        Ok((file, extension::Installed::Now)) => {
            let _ = writeln!(
                std::io::stdout(),
                "installed {}; start the WebUI again if it runs",
                file.display()
            );
            ExitCode::SUCCESS
        }
        Ok((file, extension::Installed::Before)) => {
            let _ = writeln!(std::io::stdout(), "{} is there already", file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the files of an endpoint's image: `sd-worker init`.
pub fn init(options: &InitOptions) -> ExitCode {
    init::write(options)
}

/// Runs the helper that this process was started as, and returns its exit code; `None` if it is no helper. `main` calls
/// it first.
#[must_use = "a helper process must do nothing else"]
pub fn help_if_asked() -> Option<ExitCode> {
    supervisor::run_if_asked()
}

fn hide_credentials(settings: &Settings) {
    if let Some(credentials) = &settings.webui_auth {
        secrets::hide(
            credentials.user.expose_secret(),
            credentials.password.expose_secret(),
        );
    }
}

fn worker(settings: Settings, process: Option<Process>) -> Worker {
    let intake = Intake::new();
    let monitor = monitor::Monitor::new();
    let progress_interval = settings.progress.progress_interval;
    let batches = app::batch_options(&settings, &monitor);
    let worker = monitor.watch(handler::forward::worker());
    let worker = match &batches {
        Some(batches) => {
            let arrivals = batches.arrivals.clone();
            worker
                .concurrency(batches.concurrency.clone())
                // All jobs of a batch end at once, and the next ones should be here then.
                .take_ahead(TakeAhead::JustInTime)
                .on_event(move |event| arrivals.note(event))
        }
        None => worker,
    };
    worker
        // The handler only waits for the WebUI, and large answers take the least memory on a single thread.
        .on_one_thread()
        // The SDK spaces the updates out, too: the first one of each part of a stream and the last one come apart from
        // the render's interval.
        .progress_interval(progress_interval)
        .intake(&intake)
        // An error shows the lines of the WebUI's log, not the worker's own requests to it.
        .log_tail(0)
        .state_with(move || app::App::start(settings, process, intake, monitor, batches))
}

struct CloseOnDrop(Process);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
