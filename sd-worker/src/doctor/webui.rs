//! Checks the WebUI: that it answers, which version it is, and how it is set up (`docs/protocol/webui-api.md`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::finding::{Finding, Section};
use super::models::Folders;
use super::{batches, lists, servers};
use crate::code::Explain as _;
use crate::settings::Tuning;
use crate::webui::{WebUi, WebUiError};

/// A settings file with fewer keys is not complete: that of 1.10.1 has 312 (§9).
const WHOLE_FILE: usize = 100;

/// What the WebUI reports about itself.
pub(super) struct SeenWebUi {
    pub(super) section: Section,
    pub(super) folders: Folders,
    /// File names of the checkpoints it lists.
    pub(super) checkpoints: Option<BTreeSet<String>>,
}

/// The flags it was started with that matter to a worker.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Flags {
    data_dir: Option<PathBuf>,
    models_dir: Option<PathBuf>,
    ckpt_dir: Option<PathBuf>,
    ui_settings_file: Option<PathBuf>,
    nowebui: Option<bool>,
    server_name: Option<String>,
    api_auth: Option<Value>,
    api_server_stop: Option<bool>,
    freeze_settings: Option<bool>,
    hide_ui_dir_config: Option<bool>,
    timeout_keep_alive: Option<u64>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    filename: String,
}

pub(super) async fn look(webui: &WebUi, batch_limit: u32) -> SeenWebUi {
    let mut findings = Vec::new();
    let models: Vec<Model> = match webui.list("/sdapi/v1/sd-models").await {
        Ok(models) => models,
        Err(error) => {
            return SeenWebUi {
                section: section(vec![unreachable(webui, &error)]),
                folders: Folders::default(),
                checkpoints: None,
            };
        }
    };
    findings.push(Finding::good(format!("the WebUI at {} answers", webui.url())));
    let told: Result<Flags, WebUiError> = webui.list("/sdapi/v1/cmd-flags").await;
    let has_reasons = told.as_ref().err().and_then(|error| {
        let details = error.details()?;
        (error.status() == Some(500)).then(|| details["error"].is_string())
    });
    findings.extend(servers::look(webui, has_reasons).await);
    let flags: Flags = match told {
        Ok(flags) => flags,
        Err(error) => {
            findings.push(Finding::note(format!(
                "it does not tell its command line: {error}"
            )));
            Flags::default()
        }
    };
    findings.extend(judge(&flags));
    findings.extend(batches::look(webui, batch_limit).await);
    findings.extend(lists::look(webui).await);
    let checkpoints = models
        .iter()
        .filter_map(|model| {
            Some(
                Path::new(&model.filename)
                    .file_name()?
                    .to_string_lossy()
                    .into_owned(),
            )
        })
        .collect();
    SeenWebUi {
        section: section(findings),
        folders: folders(&flags),
        checkpoints: Some(checkpoints),
    }
}

fn section(findings: Vec<Finding>) -> Section {
    Section {
        title: "WebUI",
        findings,
    }
}

fn unreachable(webui: &WebUi, error: &WebUiError) -> Finding {
    let hint = match error {
        WebUiError::Unreachable { .. } => {
            "start the WebUI with --api --nowebui, and let SD_WORKER_WEBUI_URL name its port".to_owned()
        }
        error => error.hint().unwrap_or("look at its log".into()).into_owned(),
    };
    Finding::failure(format!("the WebUI at {}: {error}", webui.url()), hint)
}

fn judge(flags: &Flags) -> Vec<Finding> {
    let mut findings = Vec::new();
    if flags.nowebui == Some(false) {
        findings.push(Finding::warning(
            "it serves its web page as well; polling such a server while it starts can end it (§1)",
            "start it with --nowebui",
        ));
    }
    let everywhere = flags.nowebui == Some(true) && flags.server_name.is_none();
    if everywhere && flags.api_auth.as_ref().is_none_or(Value::is_null) {
        findings.push(Finding::warning(
            "it listens on every interface, without credentials",
            "start it with --server-name 127.0.0.1",
        ));
    }
    if flags.api_server_stop == Some(true) {
        findings.push(Finding::note(
            "it can be restarted by its API (--api-server-stop)",
        ));
    }
    if flags.hide_ui_dir_config == Some(false) {
        findings.push(Finding::note(
            "jobs may not set where it writes, but whatever else reaches it may; --hide-ui-dir-config refuses that there, too",
        ));
    }
    let pool_idle = Tuning::default().pool_idle.as_secs();
    if let Some(seconds) = flags.timeout_keep_alive.filter(|seconds| *seconds <= pool_idle) {
        findings.push(Finding::warning(
            format!(
                "it closes idle connections after {seconds} s, and the worker keeps them for {pool_idle} s"
            ),
            "leave out --timeout-keep-alive, or set it to 30",
        ));
    }
    let is_frozen = flags.freeze_settings == Some(true);
    if is_frozen {
        findings.push(Finding::warning(
            "its settings are frozen (--freeze-settings), so the worker cannot keep what one job overrides from staying",
            "leave out --freeze-settings, or put a whole config.json into the image",
        ));
    }
    if let Some(file) = &flags.ui_settings_file {
        findings.push(settings_file(file, is_frozen));
    }
    findings
}

/// Checks the settings file. Without a complete one, settings of one job leak into the next (§9) unless the worker keeps
/// them from that, which it cannot where they are frozen.
fn settings_file(file: &Path, is_frozen: bool) -> Finding {
    let shown = file.display();
    if !file.parent().is_some_and(Path::is_dir) {
        return Finding::note(format!("its settings file {shown} is not to be seen from here"));
    }
    let (what, is_leaking) = match std::fs::read(file) {
        Err(error) => (format!("can't be read ({error})"), true),
        Ok(text) => match serde_json::from_slice::<Map<String, Value>>(&text) {
            Ok(settings) if settings.len() >= WHOLE_FILE => (format!("has {} keys", settings.len()), false),
            Ok(settings) => (format!("has only {} keys", settings.len()), true),
            Err(error) => {
                return Finding::warning(
                    format!("its settings file {shown} is no JSON object: {error}"),
                    "replace it by a whole one: save the settings once in the web page and copy the file",
                );
            }
        },
    };
    match (is_leaking, is_frozen) {
        (false, _) => Finding::good(format!("its settings file {shown} {what}")),
        (true, false) => Finding::note(format!(
            "its settings file {shown} {what}; the worker sees that settings of one job do not stay for the next"
        )),
        (true, true) => Finding::warning(
            format!("its settings file {shown} {what}: what one job overrides stays for the next"),
            "put a whole config.json into the image: save the settings once in the web page and copy the file",
        ),
    }
}

fn folders(flags: &Flags) -> Folders {
    let models = flags
        .models_dir
        .clone()
        .or_else(|| Some(flags.data_dir.as_ref()?.join("models")));
    Folders {
        checkpoints: flags
            .ckpt_dir
            .clone()
            .or_else(|| Some(models.as_ref()?.join("Stable-diffusion"))),
        elsewhere: models.into_iter().chain(flags.data_dir.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    /// What a real server answered with.
    fn recorded() -> Flags {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/fixtures/webui/v1.10.1/get-cmd-flags.json"
        );
        let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        serde_json::from_value(case["response"]["json"].clone()).unwrap()
    }

    #[test]
    fn the_folders_are_those_of_the_command_line() {
        let folders = folders(&recorded());
        assert_eq!(
            folders.checkpoints.as_deref(),
            Some(Path::new("/stable-diffusion-webui/models/Stable-diffusion"))
        );
    }

    #[test]
    fn a_command_line_that_bites_is_named() {
        let flags = Flags {
            nowebui: Some(true),
            api_server_stop: Some(true),
            timeout_keep_alive: Some(5),
            ..Flags::default()
        };
        insta::assert_debug_snapshot!(judge(&flags));
    }

    #[test]
    fn a_settings_file_that_leaks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        let told = || {
            settings_file(&file, false)
                .what
                .replace(folder.path().to_str().unwrap(), "[webui]")
        };
        let mut seen = vec![told()];
        let whole: Map<String, Value> = (0..WHOLE_FILE).map(|n| (n.to_string(), Value::Null)).collect();
        for text in [
            "{\"a\": 1}".to_owned(),
            "[".to_owned(),
            serde_json::to_string(&whole).unwrap(),
        ] {
            std::fs::write(&file, text).unwrap();
            seen.push(told());
        }
        insta::assert_debug_snapshot!(seen);
    }

    #[test]
    fn overrides_leak_only_where_settings_are_frozen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(settings_file(&file, false).verdict, Verdict::Note);
        assert_eq!(settings_file(&file, true).verdict, Verdict::Warning);
    }
}
