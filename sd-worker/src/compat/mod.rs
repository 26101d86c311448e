//! Splits sampler names that the running WebUI version would refuse (`docs/protocol/webui-api.md` §5).
//!
//! Up to 1.8 "DPM++ 2M Karras" is a sampler. 1.10 splits it into the sampler "DPM++ 2M" and the scheduler
//! "Karras". The versions between, 1.9.x, answer 404. For them alone the worker does
//! what 1.10 does.

mod split;

use serde::Deserialize;
use tokio::sync::OnceCell;
use tracing::{debug, info};

use crate::webui::{Call, WebUi, WebUiError};

/// Rewrites the sampler name of a request, if the running WebUI would refuse it.
#[derive(Debug)]
pub(crate) struct Compat {
    webui: WebUi,
    names: OnceCell<Option<Names>>,
}

/// The names that a WebUI of version 1.9 knows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    samplers: Vec<String>,
    schedulers: Vec<Scheduler>,
}

#[derive(Debug, Deserialize)]
struct Sampler {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Scheduler {
    name: String,
    label: String,
    #[serde(default)]
    aliases: Option<Vec<String>>,
}

impl Compat {
    pub(crate) fn new(webui: WebUi) -> Self {
        Self {
            webui,
            names: OnceCell::new(),
        }
    }

    /// Fetches the names that the WebUI knows, unless they are known already.
    pub(crate) async fn learn(&self) {
        self.names().await;
    }

    /// The request with its sampler name split where that is needed. Every other byte stays.
    pub(crate) async fn adapt(&self, call: Call) -> Call {
        let needs_no_help = matches!(self.names.get(), Some(None));
        let Some(body) = call
            .body
            .as_ref()
            .filter(|body| !needs_no_help && split::mentions_a_sampler(body))
        else {
            return call;
        };
        let Some(names) = self.names().await else {
            return call;
        };
        match split::split(body, names) {
            Some(split) => {
                info!(
                    sampler = split.sampler,
                    scheduler = split.scheduler,
                    "this WebUI version does not know the sampler name; sending sampler and scheduler apart"
                );
                call.with_body(split.input)
            }
            None => call,
        }
    }

    async fn names(&self) -> Option<&Names> {
        let ask = || async {
            let lists = async {
                let samplers: Vec<Sampler> = self.webui.samplers().await?;
                let schedulers: Vec<Scheduler> = self.webui.schedulers().await?;
                Ok::<_, WebUiError>((samplers, schedulers))
            };
            match lists.await {
                Ok((samplers, schedulers)) => Ok(Names::of_a_webui_that_needs_help(samplers, schedulers)),
                // Before 1.9 there is no list of schedulers, and no need for one.
                Err(error) if error.status() == Some(404) => Ok(None),
                Err(error) => Err(error),
            }
        };
        match self.names.get_or_try_init(ask).await {
            Ok(names) => names.as_ref(),
            Err(error) => {
                // The next job tries again.
                debug!(%error, "sampler names are sent as they come");
                None
            }
        }
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
