//! Checks whether a job gets what it asks for (`docs/protocol/webui-api.md` §0).
//!
//! The WebUI drops unknown fields, replaces an unknown sampler by another, and renders without a missing `LoRA`, all with
//! an answer of 200. With `--checks warn` or `strict` the names of a request are looked up in the WebUI's own lists
//! before the render. After it the request is compared with the parameters that the answer reports.
//!
//! ```text
//!  request ─▶ names ──▶ lookups ─▶ catalogue (lists, kept) ─▶ findings ─▶ strict: NOT_APPLIED, nothing rendered
//!  answer ──▶ applied ─▶ findings ─▶ strict: NOT_APPLIED │ warn: `warnings` added to the answer
//! ```

mod always_on;
mod answer_pictures;
mod applied;
mod catalogue;
mod fields;
mod finding;
mod list;
mod lookups;
mod names;
mod numbers;
mod passes;
mod prompts;
mod reported;
mod script_info;
mod scripts;
mod sides;
mod styles;
mod units;

use std::collections::BTreeSet;

use runpod_sdk::json::RawJson;
use serde_json::Value;
use tracing::warn;

use self::catalogue::Catalogue;
use self::lookups::Lookups;
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
    /// The lists that could not be had. That is no fault of the job, and fails none.
    unchecked: BTreeSet<&'static str>,
}

impl Checked {
    /// The findings as answers and errors show them; `None` if there is none.
    pub(crate) fn warnings(&self) -> Option<Value> {
        let unchecked = (!self.unchecked.is_empty()).then(|| Finding::unchecked(&self.unchecked));
        let all: Vec<Finding> = self.findings.iter().cloned().chain(unchecked).collect();
        (!all.is_empty()).then(|| finding::json(&all))
    }

    /// Adds what is new: what is said about a field once is not said again.
    fn add(&mut self, found: Vec<Finding>) {
        for finding in found {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }
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
        let mut checked = Checked {
            level: wanted.unwrap_or(self.level),
            findings: Vec::new(),
            unchecked: BTreeSet::new(),
        };
        if checked.level != CheckLevel::Off
            && let Some(request) = call.body.as_ref().and_then(|body| Object::read(body.as_str()))
        {
            let lookups = Lookups::new(&self.catalogue);
            checked.add(fields::dropped(call, &request, &lookups).await);
            checked.add(sides::cut(call, &request));
            for named in names::of_request(call, &request) {
                checked.add(lookups.look_up(named).await.into_iter().collect());
            }
            checked.add(prompts::negative_tags(&request, &lookups).await);
            checked.add(prompts::embeddings(&request, &lookups).await);
            checked.add(always_on::misshapen(&request));
            checked.add(scripts::arguments(call, &request, &lookups).await);
            checked.unchecked = lookups.missed();
        }
        if checked.level == CheckLevel::Strict && !checked.findings.is_empty() {
            return Err(NotApplied::Before(checked.findings));
        }
        Ok(checked)
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
            let lookups = Lookups::new(&self.catalogue);
            let found = applied::differences(&request, &answer, &lookups).await;
            checked.unchecked.extend(lookups.missed());
            // Findings from before the render are not repeated.
            let known = |finding: &Finding| checked.findings.iter().any(|known| known.explains(finding));
            let news: Vec<Finding> = found.into_iter().filter(|finding| !known(finding)).collect();
            let before = checked.findings.len();
            checked.add(news);
            if checked.level == CheckLevel::Strict && checked.findings.len() > before {
                return Err(NotApplied::After(checked.findings.split_off(before)));
            }
        }
        let Some(warnings) = checked.warnings() else {
            return Ok(answer);
        };
        let fields: Vec<&str> = checked.findings.iter().map(Finding::field).collect();
        warn!(?fields, unchecked = ?checked.unchecked, "the job does not get all that it asked for");
        let mut edits = Edits::of(text);
        edits.append(text, "warnings", &warnings.to_string());
        Ok(edits.apply().unwrap_or(answer))
    }
}
