//! `sd-worker doctor`: is everything there that a deployed worker needs, and if not, what mends it?
//!
//! It looks and tells. It takes no job and changes nothing, except for a file that it writes and takes away again to
//! see whether it can.

mod batches;
mod checkpoint;
mod finding;
mod gpu;
mod init;
mod limits;
mod lists;
mod models;
mod platform;
mod servers;
mod settings;
mod storage;
mod volume;
mod webui;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use runpod_sdk::redact::redacted;

use self::finding::{DoctorReport, Finding, Section, Verdict};
use crate::secrets;
use crate::settings::{DoctorOptions, OutputMode};
use crate::webui::{ClientOptions, WebUi};

/// Looks at everything and prints what was found.
pub(crate) fn examine(
    webui: &ClientOptions,
    output: OutputMode,
    batch_limit: u32,
    doctor: &DoctorOptions,
) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = match runtime {
        Ok(runtime) => {
            let lookup = |name: &str| std::env::var(name).ok();
            runtime.block_on(look(webui, output, batch_limit, doctor, lookup))
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let text = if doctor.json {
        serde_json::to_string_pretty(&report).unwrap_or_else(|error| error.to_string())
    } else {
        report.text(colours())
    };
    // A command line or an address in it may hold a secret.
    let text = secrets::masked(&text);
    // A closed pipe is the reader's choice.
    let _ = writeln!(std::io::stdout(), "{}", redacted(&text));
    if report.count(Verdict::Failure) > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The process's variables whose name and text can be read.
fn variables() -> Vec<(String, String)> {
    let all = std::env::vars_os();
    let mut readable: Vec<_> = all
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
        .collect();
    readable.sort_unstable();
    readable
}

fn colours() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !set("NO_COLOR")
}

async fn look(
    webui: &ClientOptions,
    output: OutputMode,
    batch_limit: u32,
    doctor: &DoctorOptions,
    lookup: impl Fn(&str) -> Option<String>,
) -> DoctorReport {
    let (webui, models) = match WebUi::new(webui) {
        Ok(client) => {
            let mut seen = webui::look(&client, batch_limit).await;
            if let Some(folder) = &doctor.models_dir {
                seen.folders.checkpoints = Some(folder.clone());
            }
            seen.folders
                .elsewhere
                .push(Path::new(volume::VOLUME).join("models"));
            (
                seen.section,
                models::look(&seen.folders, seen.checkpoints.as_ref()),
            )
        }
        Err(error) => {
            let findings = vec![Finding::failure(error.to_string(), "look at the options")];
            (
                Section {
                    title: "WebUI",
                    findings,
                },
                models::look(&models::Folders::default(), None),
            )
        }
    };
    let gpu = tokio::task::spawn_blocking(|| gpu::look(runpod_sdk::fitness::gpus()))
        .await
        .unwrap_or_else(|lost| Section {
            title: "GPU",
            findings: vec![Finding::failure(
                lost.to_string(),
                "look at the driver's installation",
            )],
        });
    let storage = storage::look(runpod_sdk::storage::Bucket::from_env(), output).await;
    DoctorReport {
        sections: vec![
            platform::look(&lookup, &runpod_sdk::settings::set_variables()),
            settings::look(&variables()),
            gpu,
            webui,
            models,
            storage,
            volume::look(Path::new(volume::VOLUME), &std::env::temp_dir()),
            limits::look(),
        ],
    }
}
