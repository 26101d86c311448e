//! Checks the variables that are set against the tables of settings.

use runpod_sdk::settings;

use super::finding::{Finding, Section};
use crate::environment::{may_be_shown, variables};
use crate::nearest::nearest;
use crate::settings::removed;

/// The beginnings of the names that belong to this worker.
const OURS: [&str; 2] = ["SD_WORKER_", "RUNPOD_WORKER_"];

/// `set` are the variables of the process.
pub(super) fn look(set: &[(String, String)]) -> Section {
    let known = variables();
    let names = || known.iter().map(|variable| variable.name.as_str());
    let mut findings = Vec::new();
    for (name, text) in set {
        let is_ours = OURS.iter().any(|beginning| name.starts_with(beginning));
        if !is_ours || text.trim().is_empty() {
            continue;
        }
        if names().any(|known| known == name) {
            let shown = if may_be_shown(name) {
                format!("{name} is {text}")
            } else {
                format!("{name} is set")
            };
            findings.push(Finding::note(shown));
        } else if removed(name).is_none() {
            let fix = match meant(name, names()) {
                Some(known) => format!("did you mean {known}?"),
                None => {
                    "remove it; docs/sd-worker-options.md and docs/settings.md list what there is".to_owned()
                }
            };
            findings.push(Finding::warning(format!("nothing reads {name}"), fix));
        }
    }
    let lookup = |name: &str| {
        let found = set.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| text.clone())
    };
    let (_, problems) = settings::Environment::read(lookup);
    for problem in problems {
        findings.push(Finding::failure(
            problem.to_string(),
            "the worker does not start with it",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::good("every setting has its default"));
    }
    Section {
        title: "Settings",
        findings,
    }
}

/// The known name that was most likely meant. The beginning, which all have, says nothing.
fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let beginning = OURS.into_iter().find(|beginning| name.starts_with(beginning))?;
    let rest = name.strip_prefix(beginning)?;
    let known = known.filter_map(|known| known.strip_prefix(beginning));
    Some(format!("{beginning}{}", nearest(rest, known)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_shown_and_what_nothing_reads_or_understands_is_named() {
        let set = [
            ("SD_WORKER_CHECKS", "warn"),
            ("SD_WORKER_WEBUI_AUTH", "anna:hunter2"),
            ("SD_WORKER_CHECKPIONT", "xl.safetensors"),
            ("SD_WORKER_COLOUR", "red"),
            ("SD_WORKER_RETRY_WAIT", "1s"),
            ("RUNPOD_WORKER_TIMEOUT", "soon"),
            ("RUNPOD_WORKER_JOURNAL", " "),
            ("PATH", "/bin"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
        insta::assert_debug_snapshot!(look(&set).findings);
    }

    #[test]
    fn a_worker_without_settings_has_its_defaults() {
        let findings = look(&[]).findings;
        assert_eq!(findings, [Finding::good("every setting has its default")]);
    }
}
