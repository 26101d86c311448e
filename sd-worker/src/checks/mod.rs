//! Checks whether a job gets what it asks for (`docs/protocol/webui-api.md` §0).
//!
//! The WebUI drops unknown fields, replaces an unknown sampler by another, and renders without a missing `LoRA`, all with
//! an answer of 200. With `--checks warn` or `strict` the names of a request are looked up in the WebUI's own lists
//! before the render. After it the request is compared with the parameters that the answer reports.
//!
//! ```text
//!  request ─▶ names ──▶ catalogue (lists, kept) ─▶ findings ─▶ strict: NOT_APPLIED, nothing rendered
//!  answer ──▶ applied ─▶ findings ─▶ strict: NOT_APPLIED │ warn: `warnings` added to the answer
//! ```

mod applied;
mod catalogue;
mod fields;
mod finding;
mod list;
mod names;
mod numbers;
mod passes;
mod prompts;
mod reported;
mod scripts;
mod styles;

use runpod_sdk::json::RawJson;
use tracing::warn;

use self::catalogue::Catalogue;
use crate::settings::CheckLevel;
use crate::splice::{Edits, Object};
use crate::webui::{Call, WebUi};

pub(crate) use finding::{Finding, NotApplied};

/// Checks requests and answers. The WebUI's lists are fetched when they are first needed.
#[derive(Debug)]
pub(crate) struct Checks {
    catalogue: Catalogue,
    level: CheckLevel,
}

/// A checked request, and its findings so far.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    level: CheckLevel,
    findings: Vec<Finding>,
}

impl Checks {
    pub(crate) fn new(webui: WebUi, level: CheckLevel) -> Self {
        Self {
            catalogue: Catalogue::new(webui),
            level,
        }
    }

    /// Looks up the names of a request. `wanted` is the job's own level.
    pub(crate) async fn before(
        &self,
        call: &Call,
        wanted: Option<CheckLevel>,
    ) -> Result<Checked, NotApplied> {
        let level = wanted.unwrap_or(self.level);
        let mut findings = Vec::new();
        if level != CheckLevel::Off
            && let Some(request) = call.body.as_ref().and_then(|body| Object::read(body.as_str()))
        {
            findings.extend(fields::dropped(call, &request, &self.catalogue).await);
            for named in names::of_request(call, &request) {
                findings.extend(self.catalogue.look_up(named).await);
            }
            findings.extend(prompts::embeddings(&request, &self.catalogue).await);
            findings.extend(scripts::arguments(call, &request, &self.catalogue).await);
        }
        if level == CheckLevel::Strict && !findings.is_empty() {
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
        if checked.level == CheckLevel::Off {
            return Ok(answer);
        }
        let text = answer.as_str();
        if let (Some(request), Some(answer)) = (
            call.body.as_ref().and_then(|body| Object::read(body.as_str())),
            Object::read(text),
        ) {
            let found = applied::differences(&request, &answer, &self.catalogue).await;
            // Findings from before the render are not repeated.
            let news = found
                .into_iter()
                .filter(|finding| !checked.findings.iter().any(|known| known.explains(finding)));
            let news: Vec<Finding> = news.collect();
            if checked.level == CheckLevel::Strict && !news.is_empty() {
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
