//! A RunPod Serverless worker for the AUTOMATIC1111 Stable Diffusion WebUI.
//!
//! It takes a job, sends the job's `input` to the WebUI on the same pod as it is, and hands the
//! WebUI's answer back as it is (`docs/protocol/request-flow.md`). What is left for this crate to
//! do: wait until the WebUI is there, keep a broken answer from passing for a result, say whose
//! mistake an error was, report progress, and free the GPU when a job is cancelled.
//!
//! ```text
//!  job input ─▶ handler ─▶ compat ─▶ webui::render ─▶ POST /sdapi/v1/txt2img ─▶ answer ─▶ output
//!                                       │    ▲                                     └─ stream: picture by picture ─▶ chunks
//!                                       │    └─ webui::progress ─▶ progress updates
//!                                       └────── cancelled ─▶ webui::interrupt, wait for the POST
//! ```

mod app;
mod cache;
mod checks;
mod code;
mod command_line;
mod compat;
mod doctor;
mod failure;
mod handler;
mod health;
mod lenient;
mod monitor;
mod output;
#[cfg(test)]
mod pages;
mod picture;
mod process;
mod request;
mod settings;
mod splice;
mod stream;
mod webui;

use std::process::ExitCode;

use runpod_sdk::Worker;
use runpod_sdk::settings::Intake;
use secrecy::ExposeSecret as _;

use process::Process;

pub use checks::Level as CheckLevel;
pub use command_line::Told;
pub use doctor::{Doctor, examine};
pub use process::CommandLine;
pub use settings::{
    BackendSettings, CacheSettings, Command, Credentials, OutputMode, OutputSettings, ProgressSettings,
    Reencode, RequestSettings, Settings, StreamSettings, Tuning, WebUiUrl,
};
pub use webui::WarmUp;

/// Runs the worker until it is told to stop: the whole `main` of the program.
///
/// It waits for the WebUI before it takes its first job. A WebUI that was started by the worker is ended and
/// reaped before this returns, also when the worker fails or panics.
#[must_use = "return the exit code from `main`"]
pub fn run(settings: Settings) -> ExitCode {
    let process = own_process(&settings);
    if let Some(process) = &process {
        process.hurry_on_second_signal();
    }
    let _ended_with_us = process.clone().map(EndedWithUs);
    runpod_sdk::start(worker(settings, process))
}

/// Does the work of a helper process, if this one was started as such: `main` calls it first and returns the exit
/// code, if there is one.
#[must_use = "a helper process must do nothing else"]
pub fn help_if_asked() -> Option<ExitCode> {
    process::run_if_asked()
}

fn worker(settings: Settings, process: Option<Process>) -> Worker {
    let intake = Intake::new();
    let monitor = monitor::Monitor::new();
    let apart = settings.progress.progress_interval;
    monitor
        .watch(handler::forward::worker())
        // It only waits for the WebUI, and large answers cost the least memory on a single thread.
        .on_one_thread()
        // The first update of each part of a stream, and the last of all, come at times of their own.
        .progress_interval(apart)
        .intake(&intake)
        .state_with(move || app::App::start(settings, process, intake, monitor))
}

/// The WebUI, if it is ours to start.
fn own_process(settings: &Settings) -> Option<Process> {
    let backend = &settings.backend;
    let command = backend.webui_command.clone()?;
    let secrets = settings.webui_auth.iter().flat_map(|credentials| {
        [&credentials.user, &credentials.password].map(|secret| secret.expose_secret().to_owned())
    });
    Some(Process::new(
        command,
        backend.webui_dir.clone(),
        settings.tuning.stop_grace,
        secrets,
    ))
}

struct EndedWithUs(Process);

impl Drop for EndedWithUs {
    fn drop(&mut self) {
        self.0.close();
    }
}
