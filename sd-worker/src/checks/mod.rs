//! Whether a job gets what it asks for (`docs/protocol/webui-api.md` §0).
//!
//! The WebUI drops fields that it does not know, takes another sampler for one that it does not have, and
//! renders without a `LoRA` that is not there, all with an answer of 200. With `--checks warn` or `strict` the
//! names of a request are looked up in the WebUI's own lists before the render, and what was asked for is
//! compared with what the answer says of itself after it.
//!
//! ```text
//!  request ─▶ asked ──▶ catalogue (lists, kept) ─▶ findings ─▶ strict: NOT_APPLIED, nothing rendered
//!  answer ──▶ applied ─▶ findings ─▶ strict: NOT_APPLIED │ warn: `warnings` added to the answer
//! ```

mod applied;
mod asked;
mod catalogue;
mod fields;
mod finding;
mod numbers;
mod passes;
mod prompts;
mod scripts;
mod styles;
mod told;

use runpod_sdk::json::RawJson;
use serde::Deserialize;
use tracing::warn;

use self::catalogue::Catalogue;
use crate::splice::{Edits, Object};
use crate::webui::{Call, WebUi};

pub(crate) use finding::{Finding, NotApplied};

/// How much is made of what a job would not get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// Nothing is looked at
    #[default]
    Off,
    /// The answer gets a list `warnings` at its end
    Warn,
    /// The job fails with `NOT_APPLIED`
    Strict,
}

/// Looks at requests and answers. Asks the WebUI for its lists when they are first needed.
#[derive(Debug)]
pub(crate) struct Checks {
    catalogue: Catalogue,
    level: Level,
}

/// A request that has been looked at, and what was found so far.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    level: Level,
    findings: Vec<Finding>,
}

impl Checks {
    pub(crate) fn new(webui: WebUi, level: Level) -> Self {
        Self {
            catalogue: Catalogue::new(webui),
            level,
        }
    }

    /// Looks a request's names up. `wished` is what the job itself says.
    pub(crate) async fn before(&self, call: &Call, wished: Option<Level>) -> Result<Checked, NotApplied> {
        let level = wished.unwrap_or(self.level);
        let mut findings = Vec::new();
        if level != Level::Off
            && let Some(request) = call.body.as_ref().and_then(|body| Object::read(body.as_str()))
        {
            findings.extend(fields::dropped(call, &request, &self.catalogue).await);
            for named in asked::names(call, &request) {
                findings.extend(self.catalogue.look_up(named).await);
            }
            findings.extend(prompts::embeddings(&request, &self.catalogue).await);
            findings.extend(scripts::arguments(call, &request, &self.catalogue).await);
        }
        if level == Level::Strict && !findings.is_empty() {
            return Err(NotApplied::Before(findings));
        }
        Ok(Checked { level, findings })
    }

    /// Compares an answer with its request.
    pub(crate) async fn after(
        &self,
        mut checked: Checked,
        call: &Call,
        answer: RawJson,
    ) -> Result<RawJson, NotApplied> {
        if checked.level == Level::Off {
            return Ok(answer);
        }
        let text = answer.as_str();
        if let (Some(request), Some(answer)) = (
            call.body.as_ref().and_then(|body| Object::read(body.as_str())),
            Object::read(text),
        ) {
            let found = applied::differences(&request, &answer, &self.catalogue).await;
            // What was known before need not be told twice.
            let news = found
                .into_iter()
                .filter(|finding| !checked.findings.iter().any(|known| known.explains(finding)));
            let news: Vec<Finding> = news.collect();
            if checked.level == Level::Strict && !news.is_empty() {
                return Err(NotApplied::After(news));
            }
            checked.findings.extend(news);
        }
        if checked.findings.is_empty() {
            return Ok(answer);
        }
        let fields: Vec<&str> = checked.findings.iter().map(Finding::field).collect();
        warn!(?fields, "the job does not get all that it asked for");
        let mut edits = Edits::of(text);
        edits.append(text, "warnings", &finding::json(&checked.findings).to_string());
        Ok(edits.apply().unwrap_or(answer))
    }
}
