//! Adapts requests to the running server, where it would refuse or misread them (`docs/protocol/webui-api.md` §5, §12).
//!
//! | server | what is adapted |
//! |---|---|
//! | 1.9 | "DPM++ 2M Karras" becomes the sampler "DPM++ 2M" and the scheduler "Karras", as 1.10 does itself |
//! | SD.Next | the same, with its own field `schedulers_sigma`, which it has in place of `scheduler`, too |
//! | Forge | `enable_hr` gets `hr_additional_modules`, without which Forge fails after the whole first pass |

mod hires;
mod sigma;
mod split;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tracing::{debug, info};

use crate::webui::{Call, JobKind, Sampler, Scheduler, ServerKind, WebUi, WebUiError};

/// How long the server is not asked again after it could not be asked. A slow list would delay every job.
const FAILURE_KEPT: Duration = Duration::from_mins(1);

/// Adapts requests to the running server.
#[derive(Debug)]
pub(crate) struct Compat {
    webui: WebUi,
    help: OnceCell<Help>,
    failed: Mutex<Option<Instant>>,
}

/// What a server's requests need.
#[derive(Debug)]
enum Help {
    None,
    Split(Names),
    /// The samplers of SD.Next.
    Sigma(Vec<String>),
    HiresModules,
}

/// The names that a WebUI of version 1.9 knows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    samplers: Vec<String>,
    schedulers: Vec<Scheduler>,
}

impl Compat {
    pub(crate) fn new(webui: WebUi) -> Self {
        Self {
            webui,
            help: OnceCell::new(),
            failed: Mutex::default(),
        }
    }

    /// Finds out what the server needs, unless that is known already.
    pub(crate) async fn learn(&self) {
        self.help().await;
    }

    /// The request as the server takes it. Every byte stays that need not change.
    pub(crate) async fn adapt(&self, call: Call) -> Call {
        let Some(body) = &call.body else { return call };
        let may_need_help = split::mentions_a_sampler(body)
            || sigma::mentions_a_scheduler(body)
            || hires::mentions_a_second_pass(body);
        if !may_need_help {
            return call;
        }
        let help = self.help().await;
        let split = match help {
            None | Some(Help::None) => None,
            Some(Help::Split(names)) => split::split(body, names),
            Some(Help::Sigma(samplers)) => sigma::translate(body, samplers),
            Some(Help::HiresModules) => {
                let is_txt2img = call.job_kind == JobKind::Txt2Img;
                return match hires::with_modules(body).filter(|_| is_txt2img) {
                    Some(body) => {
                        info!(
                            "Forge needs hr_additional_modules for a second pass; it gets those of the first"
                        );
                        call.with_body(body)
                    }
                    None => call,
                };
            }
        };
        match split {
            Some(split) => {
                let why = match help {
                    Some(Help::Sigma(_)) => {
                        "SD.Next has schedulers_sigma in place of a scheduler; sending that"
                    }
                    _ => "this server does not know the sampler name; sending sampler and scheduler apart",
                };
                info!(sampler = split.sampler, scheduler = split.scheduler, "{why}");
                call.with_body(split.input)
            }
            None => call,
        }
    }

    async fn help(&self) -> Option<&Help> {
        if let Some(help) = self.help.get() {
            return Some(help);
        }
        if self.failed.lock().is_some_and(|at| at.elapsed() < FAILURE_KEPT) {
            return None;
        }
        match self.help.get_or_try_init(|| self.ask()).await {
            Ok(help) => Some(help),
            Err(error) => {
                debug!(%error, "sampler names are sent as they come");
                *self.failed.lock() = Some(Instant::now());
                None
            }
        }
    }

    async fn ask(&self) -> Result<Help, WebUiError> {
        let server = self.webui.server().await?;
        let samplers = server.samplers.clone();
        Ok(match server.kind {
            ServerKind::UpTo1_8 | ServerKind::V1_10 => Help::None,
            ServerKind::V1_9 => {
                let names = Names::of_a_webui_that_needs_help(samplers, server.schedulers.clone());
                names.map_or(Help::None, Help::Split)
            }
            ServerKind::Forge => Help::HiresModules,
            ServerKind::SdNext => Help::Sigma(samplers.into_iter().map(|sampler| sampler.name).collect()),
        })
    }
}

impl Names {
    fn of_a_webui_that_needs_help(samplers: Vec<Sampler>, schedulers: Vec<Scheduler>) -> Option<Self> {
        // 1.10 came with this scheduler, and with splitting names itself.
        if schedulers
            .iter()
            .any(|scheduler| scheduler.name == "align_your_steps")
        {
            return None;
        }
        Some(Self {
            samplers: samplers.into_iter().map(|sampler| sampler.name).collect(),
            schedulers,
        })
    }

    /// "DPM++ 2M Karras" → ("DPM++ 2M", "Karras"); `None` if the WebUI knows the name as it is, or would
    /// not know the parts either.
    fn split<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let known = |name: &str| self.samplers.iter().any(|sampler| sampler == name);
        if known(name) {
            return None;
        }
        let mut endings: Vec<(&str, &str)> = self
            .schedulers
            .iter()
            .flat_map(|scheduler| {
                [&scheduler.label, &scheduler.name]
                    .into_iter()
                    .chain(scheduler.aliases.iter().flatten())
                    .map(|ending| (ending.as_str(), scheduler.label.as_str()))
            })
            .collect();
        endings.sort_by_key(|(ending, _)| std::cmp::Reverse(ending.len()));
        endings.into_iter().find_map(|(ending, label)| {
            let sampler = name.strip_suffix(ending)?.strip_suffix(' ')?;
            known(sampler).then_some((sampler, label))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The lists that a real server answered with.
    fn recorded(version: &str) -> Option<Names> {
        let list = |name: &str| {
            let path = format!(
                "{}/../tests/fixtures/webui/{version}/get-{name}.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            case["response"]["json"].clone()
        };
        Names::of_a_webui_that_needs_help(
            serde_json::from_value(list("samplers")).unwrap(),
            serde_json::from_value(list("schedulers")).unwrap(),
        )
    }

    #[test]
    fn version_1_9_needs_help_and_1_10_does_not() {
        assert!(recorded("v1.9.3").is_some());
        assert_eq!(recorded("v1.10.1"), None);
    }

    #[test]
    fn names_are_split_as_1_10_would() {
        let names = recorded("v1.9.3").unwrap();
        assert_eq!(names.split("DPM++ 2M Karras"), Some(("DPM++ 2M", "Karras")));
        assert_eq!(
            names.split("DPM++ 2M SDE Exponential"),
            Some(("DPM++ 2M SDE", "Exponential"))
        );
        assert_eq!(
            names.split("DPM++ 2M Polyexponential"),
            Some(("DPM++ 2M", "Polyexponential"))
        );
        assert_eq!(
            names.split("Euler a SGMUniform"),
            Some(("Euler a", "SGM Uniform"))
        );
        for untouched in [
            "DPM++ 2M",
            "Euler a",
            "No Such Sampler",
            "Nonsense Karras",
            "Karras",
            "",
        ] {
            assert_eq!(names.split(untouched), None, "{untouched}");
        }
    }
}
