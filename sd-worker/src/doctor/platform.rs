//! Checks the platform's variables (`docs/protocol/worker-protocol.md` §2), and those of earlier versions of the worker.

use super::finding::{Finding, Section};
use crate::settings::{removed, unread};

/// The variables without which a worker gets no jobs.
const NEEDED: [&str; 2] = ["RUNPOD_WEBHOOK_GET_JOB", "RUNPOD_WEBHOOK_POST_OUTPUT"];

/// Checks the variables that `lookup` finds; `set` names all that are set.
pub(super) fn look(lookup: impl Fn(&str) -> Option<String>, set: &[String]) -> Section {
    let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    let mut findings = if NEEDED.iter().all(|name| get(name).is_none()) {
        vec![Finding::note(
            "RunPod's variables are not set: this is no Serverless worker, so only --test_input works here",
        )]
    } else {
        deployed(get)
    };
    // Those that never existed are named among the settings.
    let earlier = unread(set.iter().cloned())
        .into_iter()
        .filter(|unread| removed(&unread.name).is_some());
    findings.extend(
        earlier.map(|unread| Finding::warning(format!("{} has no effect", unread.name), unread.instead)),
    );
    Section {
        title: "Platform",
        findings,
    }
}

fn deployed(get: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let missing =
        "the platform sets it on every worker; do not clear the environment before the worker starts";
    let mut findings = Vec::new();
    for (name, placeholder) in [
        ("RUNPOD_WEBHOOK_GET_JOB", "$ID"),
        ("RUNPOD_WEBHOOK_POST_OUTPUT", "$ID"),
        ("RUNPOD_WEBHOOK_POST_STREAM", "$ID"),
        ("RUNPOD_WEBHOOK_PING", "$RUNPOD_POD_ID"),
    ] {
        findings.push(match get(name) {
            Some(text) => url(name, &text, placeholder),
            None if NEEDED.contains(&name) => Finding::failure(format!("{name} is not set"), missing),
            None => Finding::note(format!("{name} is not set")),
        });
    }
    findings.push(match get("RUNPOD_AI_API_KEY") {
        Some(_) => Finding::good("RUNPOD_AI_API_KEY is set"),
        None => Finding::failure(
            "RUNPOD_AI_API_KEY is not set: the platform will answer 401",
            missing,
        ),
    });
    findings.push(match get("RUNPOD_POD_ID") {
        Some(id) => Finding::good(format!("RUNPOD_POD_ID is {id}")),
        None => Finding::warning(
            "RUNPOD_POD_ID is not set: no heartbeat is sent, and the platform may take the worker for dead",
            missing,
        ),
    });
    findings
}

fn url(name: &str, text: &str, placeholder: &str) -> Finding {
    let Ok(url) = reqwest::Url::parse(text) else {
        return Finding::failure(
            format!("{name} is no URL"),
            "unset it, so that the platform's own value counts",
        );
    };
    let host = url.host_str().unwrap_or_default();
    if text.contains("$ID") || text.contains("$RUNPOD_POD_ID") {
        Finding::good(format!("{name} leads to {host}"))
    } else {
        Finding::warning(
            format!("{name} leads to {host} and names no {placeholder}"),
            "the same address is then used for every worker or job; see whether that is meant",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn verdicts(pairs: &[(&str, &str)]) -> Vec<(Verdict, String)> {
        let lookup = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let set: Vec<String> = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
        let findings = look(lookup, &set).findings;
        findings
            .into_iter()
            .map(|finding| (finding.verdict, finding.what))
            .collect()
    }

    #[test]
    fn a_laptop_is_no_worker_and_that_is_no_fault() {
        for blank in ["", " "] {
            let found = verdicts(&[("RUNPOD_WEBHOOK_GET_JOB", blank)]);
            assert!(
                matches!(&found[..], [(Verdict::Note, what)] if what.contains("--test_input")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_variable_of_an_earlier_version_is_named() {
        let found = verdicts(&[
            ("SD_WORKER_RETRY_WAIT", "1s"),
            ("SD_WORKER_RETRIES", "1"),
            ("SD_WORKER_RETRYS", "4"),
        ]);
        let warning = |what: &str| (Verdict::Warning, what.to_owned());
        assert_eq!(found[1..], [warning("SD_WORKER_RETRY_WAIT has no effect"),]);
    }

    #[test]
    fn what_a_worker_lacks_is_named_and_its_key_is_not_shown() {
        let found = verdicts(&[
            (
                "RUNPOD_WEBHOOK_GET_JOB",
                "https://api.runpod.ai/v2/e/job-take/$ID?gpu=A",
            ),
            ("RUNPOD_WEBHOOK_POST_OUTPUT", "nonsense"),
            ("RUNPOD_WEBHOOK_PING", "https://api.runpod.ai/v2/e/ping"),
            ("RUNPOD_AI_API_KEY", "rpa_secret"),
        ]);
        insta::assert_debug_snapshot!(found);
    }
}
