//! What the command says at its start and at its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use runpod_local::{LocalPlatform, Violation};
use serde::{Deserialize, Serialize};

/// The id a worker gets that is started by hand.
const WORKER_ID: &str = "worker-1";

/// How to reach a platform that has started.
#[derive(Debug, Serialize, Deserialize)]
pub struct Announcement {
    /// Where it listens. A browser finds the console there.
    pub url: String,
    /// The id of its endpoint.
    pub endpoint: String,
    /// The variables of a client.
    pub client_env: BTreeMap<String, String>,
    /// The variables of a worker, as RunPod sets them.
    pub worker_env: BTreeMap<String, String>,
}

/// What a platform says before it ends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Farewell {
    /// What workers did against the protocol.
    pub violations: Vec<String>,
}

impl Announcement {
    pub(crate) fn of(platform: &LocalPlatform, endpoint: &str) -> Self {
        Self {
            url: platform.url(),
            endpoint: endpoint.to_owned(),
            client_env: platform.client_env().into_iter().collect(),
            worker_env: platform.worker_env(endpoint, WORKER_ID).into_iter().collect(),
        }
    }

    /// For a person. Where the command starts the workers itself, `workers` says how many of what.
    pub(crate) fn text(&self, workers: Option<&str>) -> String {
        let Self { url, endpoint, .. } = self;
        let mut text =
            format!("The platform listens on {url}, endpoint `{endpoint}`. Its console is there, too.\n\n");
        match workers {
            Some(workers) => {
                let _ = writeln!(text, "Workers: {workers}. Their lines follow here.\n");
            }
            None => {
                text.push_str(
                    "A worker takes jobs from it with these variables, which RunPod sets on its pods. Give every further\n\
                     worker a RUNPOD_POD_ID of its own.\n\n",
                );
                exports(&mut text, &self.worker_env);
                text.push_str("\nOr have the workers started: runpod-local -- COMMAND\n\n");
            }
        }
        text.push_str("A client submits jobs to it with these:\n\n");
        exports(&mut text, &self.client_env);
        let _ = write!(
            text,
            "\n  curl -s \"$RUNPOD_ENDPOINT_BASE_URL/{endpoint}/runsync\" \\\n    \
             -H \"Authorization: Bearer $RUNPOD_API_KEY\" -H 'Content-Type: application/json' \\\n    \
             -d '{{\"input\": {{\"prompt\": \"a cat\", \"steps\": 20}}}}'\n\
             \n\
             Ctrl-C stops it."
        );
        text
    }
}

/// Lines for a shell; the values hold `$`, so they are quoted.
fn exports(text: &mut String, variables: &BTreeMap<String, String>) {
    for (name, value) in variables {
        let _ = writeln!(text, "  export {name}='{}'", value.replace('\'', r"'\''"));
    }
}

impl Farewell {
    pub(crate) fn of(violations: &[Violation]) -> Self {
        Self {
            violations: violations.iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn text(&self) -> String {
        if self.violations.is_empty() {
            return "No worker did anything against the protocol.".to_owned();
        }
        format!(
            "What workers did against the protocol:\n  {}",
            self.violations.join("\n  ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement() -> Announcement {
        let variables = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        Announcement {
            url: "http://127.0.0.1:8080".to_owned(),
            endpoint: "local".to_owned(),
            client_env: variables(&[
                ("RUNPOD_API_KEY", "it's"),
                ("RUNPOD_ENDPOINT_BASE_URL", "http://127.0.0.1:8080/v2"),
            ]),
            worker_env: variables(&[(
                "RUNPOD_WEBHOOK_GET_JOB",
                "http://127.0.0.1:8080/v2/local/job-take/$ID",
            )]),
        }
    }

    #[test]
    fn the_text_can_be_pasted_into_a_shell() {
        insta::assert_snapshot!(announcement().text(None));
    }

    #[test]
    fn where_workers_are_started_no_variables_of_theirs_are_shown() {
        insta::assert_snapshot!(announcement().text(Some("1 to 3 of `python handler.py`")));
    }

    #[test]
    fn a_platform_that_saw_nothing_wrong_says_so() {
        assert_eq!(
            Farewell::of(&[]).text(),
            "No worker did anything against the protocol."
        );
    }
}
