//! A RunPod Serverless worker for the AUTOMATIC1111 Stable Diffusion WebUI.
//!
//! It takes a job, sends the job's `input` to the WebUI on the same pod as it is, and hands the
//! WebUI's answer back as it is (`docs/protocol/request-flow.md`). What is left for this crate to
//! do: wait until the WebUI is there, keep a broken answer from passing for a result, say whose
//! mistake an error was, report progress, and free the GPU when a job is cancelled.
//!
//! ```text
//!  job input ─▶ handler ─▶ compat ─▶ webui::render ─▶ POST /sdapi/v1/txt2img ─▶ answer ─▶ output
//!                                       │    ▲
//!                                       │    └─ webui::progress ─▶ progress updates
//!                                       └────── cancelled ─▶ webui::interrupt, wait for the POST
//! ```

mod app;
mod checks;
mod command_line;
mod compat;
mod doctor;
mod failure;
mod handler;
mod picture;
mod request;
mod settings;
mod splice;
mod webui;

use runpod_sdk::Worker;

pub use checks::Level as CheckLevel;
pub use command_line::Told;
pub use doctor::{Doctor, examine};
pub use settings::{Command, Credentials, ProgressSettings, RequestSettings, Settings, WebUiUrl};

/// The worker, ready for [`runpod_sdk::start`].
///
/// It waits for the WebUI before it takes its first job.
pub fn worker(settings: Settings) -> Worker {
    handler::forward::worker()
        // It only waits for the WebUI, and large answers cost the least memory on a single thread.
        .on_one_thread()
        .state_with(move || app::App::start(settings))
}
