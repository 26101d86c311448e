//! Checks the WebUI: that it answers, which version it is, and how it is set up (`docs/protocol/webui-api.md`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runpod_sdk::json::RawJson;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::finding::{Finding, Section};
use super::models::Folders;
use crate::code::Explain as _;
use crate::settings::Tuning;
use crate::webui::{Call, WebUi, WebUiError};

/// A settings file with fewer keys is not complete: that of 1.10.1 has 312 (§9).
const WHOLE_FILE: usize = 100;
/// The time for a refusal, which comes at once even during a render.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

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
    timeout_keep_alive: Option<u64>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    filename: String,
}

pub(super) async fn look(webui: &WebUi) -> SeenWebUi {
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
    findings.push(version(webui).await);
    let flags: Flags = match webui.list("/sdapi/v1/cmd-flags").await {
        Ok(flags) => flags,
        Err(error) => {
            findings.push(Finding::note(format!(
                "it does not tell its command line: {error}"
            )));
            Flags::default()
        }
    };
    findings.extend(judge(&flags));
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

/// Recognises a version by its routes and names, and SD.Next by how it refuses (§12).
async fn version(webui: &WebUi) -> Finding {
    if is_sd_next(webui).await {
        return Finding::note(
            "it looks like SD.Next: it gets requests as version 1.10 does, and what is its own is not known here",
        );
    }
    let schedulers = webui.list::<Vec<Value>>("/sdapi/v1/schedulers").await;
    let has_modules = webui.list::<Value>("/sdapi/v1/sd-modules").await.is_ok();
    match schedulers {
        Ok(_) if has_modules => Finding::good("it looks like Forge"),
        Ok(list)
            if list
                .iter()
                .any(|scheduler| scheduler["name"] == "align_your_steps") =>
        {
            Finding::good("it looks like version 1.10 or later")
        }
        Ok(_) => Finding::note(
            "it looks like version 1.9: sampler names such as \"DPM++ 2M Karras\" are split for it",
        ),
        Err(error) if error.status() == Some(404) => {
            Finding::note("it looks like version 1.8 or earlier: it has no schedulers")
        }
        Err(error) => Finding::note(format!("its version is not known: {error}")),
    }
}

/// SD.Next answers 400 to an img2img request without a picture, the others 404. None of them renders.
async fn is_sd_next(webui: &WebUi) -> bool {
    let Ok(body) = RawJson::parse("{}") else {
        return false;
    };
    let nothing = Call::img2img(body);
    let refused = tokio::time::timeout(PROBE_LIMIT, webui.send(&nothing)).await;
    refused.is_ok_and(|answer| answer.is_err_and(|error| error.status() == Some(400)))
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
    let pool_idle = Tuning::default().pool_idle.as_secs();
    if let Some(seconds) = flags.timeout_keep_alive.filter(|seconds| *seconds <= pool_idle) {
        findings.push(Finding::warning(
            format!(
                "it closes idle connections after {seconds} s, and the worker keeps them for {pool_idle} s"
            ),
            "leave out --timeout-keep-alive, or set it to 30",
        ));
    }
    if let Some(file) = &flags.ui_settings_file {
        findings.push(settings_file(file));
    }
    findings
}

/// Checks the settings file. Without a complete one, settings of one job leak into the next (§9).
fn settings_file(file: &Path) -> Finding {
    let shown = file.display();
    let fix =
        "put a whole config.json into the image: save the settings once in the web page and copy the file";
    if !file.parent().is_some_and(Path::is_dir) {
        return Finding::note(format!("its settings file {shown} is not to be seen from here"));
    }
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) => {
            return Finding::warning(
                format!(
                    "its settings file {shown} can't be read ({error}): what one job overrides stays for the next"
                ),
                fix,
            );
        }
    };
    match serde_json::from_slice::<Map<String, Value>>(&text) {
        Ok(settings) if settings.len() >= WHOLE_FILE => {
            Finding::good(format!("its settings file {shown} has {} keys", settings.len()))
        }
        Ok(settings) => Finding::warning(
            format!(
                "its settings file {shown} has only {} keys: what one job overrides among the others stays for the next",
                settings.len()
            ),
            fix,
        ),
        Err(error) => Finding::warning(
            format!("its settings file {shown} is no JSON object: {error}"),
            fix,
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
            settings_file(&file)
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
}
