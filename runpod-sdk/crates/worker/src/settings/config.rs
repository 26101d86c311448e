//! The platform's environment variables (`docs/protocol/worker-protocol.md` §2).
//!
//! Everything is read once, and every problem is reported at once.

use std::time::Duration;

use runpod_protocol::variable;
use secrecy::SecretString;

use super::Template;
use crate::job::WorkerIdentity;
use crate::redact::redacted;

/// The protocol level that pings and error reports name. It is that of the Python worker whose
/// protocol this crate speaks, because features of the platform may depend on it.
pub(crate) const PROTOCOL_VERSION: &str = "1.12.0";

const SHORTEST_PING_INTERVAL: Duration = Duration::from_millis(250);
/// The platform takes a worker for dead that is silent for about 40 s.
const LONGEST_PING_INTERVAL: Duration = Duration::from_secs(30);
/// The longest part of a value that a message repeats.
const LONGEST_SHOWN: usize = 80;

const JOB_AS_URL: &str = "RUNPOD_WEBHOOK_GET_JOB holds JSON and no URL; give a job by --test_input, or in a file \
    test_input.json, and leave the variable unset";
const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(10);

/// The settings of a deployed worker from the platform's variables.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) take: Template,
    pub(crate) done: Template,
    pub(crate) stream: Option<Template>,
    pub(crate) ping: Option<Template>,
    pub(crate) ping_interval: Duration,
    pub(crate) api_key: Option<SecretString>,
    pub(crate) worker_id: String,
    /// Heartbeats need an id that the platform knows, not one made up here.
    pub(crate) worker_id_is_known: bool,
    pub(crate) hostname: String,
    pub(crate) protocol_version: String,
    pub(crate) user_agent_integration: Option<String>,
    /// Values that were unusable and replaced by their default.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Whether the environment is that of a deployed worker. An empty URL counts as none.
    pub(crate) fn is_production(lookup: impl Fn(&str) -> Option<String>) -> bool {
        variable::unless_blank(lookup(variable::TAKE_URL)).is_some()
    }

    /// Reads the environment through `lookup`.
    ///
    /// # Errors
    ///
    /// One line for each variable without which a worker cannot work.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let get = |name: &str| variable::unless_blank(lookup(name));
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        if get(variable::TAKE_URL).is_some_and(|text| text.trim_start().starts_with(['{', '['])) {
            return Err(vec![JOB_AS_URL.to_owned()]);
        }
        let mut url = |name: &str, required: bool| match get(name) {
            Some(text) => match Template::parse(&text) {
                Ok(template) => {
                    let unfilled = template.unfilled();
                    warnings.extend(unfilled.map(|unfilled| {
                        format!("{name} has {unfilled} in it, which nothing fills; it is sent as it is")
                    }));
                    Some(template)
                }
                Err(problem) => {
                    problems.push(format!("{name}={}: {problem}", excerpt(&text)));
                    None
                }
            },
            None => {
                if required {
                    problems.push(format!("{name} is not set: the platform sets it on every worker"));
                }
                None
            }
        };
        let take = url("RUNPOD_WEBHOOK_GET_JOB", true);
        let done = url("RUNPOD_WEBHOOK_POST_OUTPUT", true);
        let stream =
            url("RUNPOD_WEBHOOK_POST_STREAM", false).or_else(|| url("RUNPOD_WEBHOOK_JOB_STREAM", false));
        let ping = url("RUNPOD_WEBHOOK_PING", false);
        let (Some(take), Some(done)) = (take, done) else {
            return Err(problems);
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let worker_id = get("RUNPOD_POD_ID");
        Ok(Self {
            take,
            done,
            stream,
            ping,
            ping_interval: ping_interval(get("RUNPOD_PING_INTERVAL"), &mut warnings),
            api_key: get("RUNPOD_AI_API_KEY").map(SecretString::from),
            worker_id_is_known: worker_id.is_some(),
            worker_id: worker_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            hostname: get("RUNPOD_POD_HOSTNAME").unwrap_or_else(|| WorkerIdentity::UNKNOWN.to_owned()),
            protocol_version: PROTOCOL_VERSION.to_owned(),
            user_agent_integration: get("RUNPOD_UA_INTEGRATION"),
            warnings,
        })
    }

    /// The identity under which errors are reported.
    pub(crate) fn identity(&self) -> WorkerIdentity {
        WorkerIdentity {
            hostname: self.hostname.clone(),
            worker_id: if self.worker_id_is_known {
                self.worker_id.clone()
            } else {
                WorkerIdentity::UNKNOWN.to_owned()
            },
            runpod_version: self.protocol_version.clone(),
        }
    }

    /// Whether any URL needs TLS, and with it the system's certificates.
    pub(crate) fn needs_tls(&self) -> bool {
        [
            Some(&self.take),
            Some(&self.done),
            self.stream.as_ref(),
            self.ping.as_ref(),
        ]
        .into_iter()
        .flatten()
        .any(Template::is_https)
    }
}

/// Identity of a worker without a platform.
pub(crate) fn local_identity(lookup: impl Fn(&str) -> Option<String>) -> WorkerIdentity {
    let get = |name: &str| variable::unless_blank(lookup(name));
    WorkerIdentity {
        hostname: get("RUNPOD_POD_HOSTNAME").unwrap_or_else(|| WorkerIdentity::UNKNOWN.to_owned()),
        worker_id: get("RUNPOD_POD_ID").unwrap_or_else(|| WorkerIdentity::UNKNOWN.to_owned()),
        runpod_version: PROTOCOL_VERSION.to_owned(),
    }
}

/// The start of a value, with its secrets masked.
fn excerpt(text: &str) -> String {
    let text = redacted(text);
    let end = text.floor_char_boundary(LONGEST_SHOWN);
    let more = if end < text.len() { "…" } else { "" };
    format!("{}{more}", &text[..end])
}

fn ping_interval(text: Option<String>, warnings: &mut Vec<String>) -> Duration {
    let Some(text) = text else {
        return DEFAULT_PING_INTERVAL;
    };
    match text.trim().parse::<u64>() {
        Ok(millis) => {
            let asked = Duration::from_millis(millis);
            let interval = asked.clamp(SHORTEST_PING_INTERVAL, LONGEST_PING_INTERVAL);
            if interval != asked {
                warnings.push(format!(
                    "RUNPOD_PING_INTERVAL={millis} is in milliseconds, and out of bounds; using {}",
                    interval.as_millis()
                ));
            }
            interval
        }
        Err(_) => {
            warnings.push(format!(
                "RUNPOD_PING_INTERVAL={} is not a number of milliseconds; using {}",
                excerpt(&text),
                DEFAULT_PING_INTERVAL.as_millis()
            ));
            DEFAULT_PING_INTERVAL
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    const TAKE: (&str, &str) = (
        "RUNPOD_WEBHOOK_GET_JOB",
        "http://127.0.0.1:9/v2/ep/job-take/$ID?gpu=A",
    );
    const DONE: (&str, &str) = (
        "RUNPOD_WEBHOOK_POST_OUTPUT",
        "http://127.0.0.1:9/v2/ep/job-done/$RUNPOD_POD_ID/$ID?gpu=A",
    );

    #[test]
    fn a_blank_take_url_is_no_platform() {
        for blank in ["", " ", "\n\t"] {
            assert!(!Config::is_production(lookup(&[(
                "RUNPOD_WEBHOOK_GET_JOB",
                blank
            )])));
        }
        assert!(Config::is_production(lookup(&[TAKE])));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let problems = Config::from_lookup(lookup(&[
            ("RUNPOD_WEBHOOK_GET_JOB", "take"),
            ("RUNPOD_WEBHOOK_PING", "ftp://x/"),
        ]))
        .unwrap_err();
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn a_bad_ping_interval_is_named_and_the_default_used() {
        let config = Config::from_lookup(lookup(&[TAKE, DONE, ("RUNPOD_PING_INTERVAL", "soon")])).unwrap();
        assert_eq!(config.ping_interval, Duration::from_secs(10));
        assert_eq!(
            config.warnings,
            ["RUNPOD_PING_INTERVAL=soon is not a number of milliseconds; using 10000"]
        );
    }

    #[test]
    fn a_ping_interval_below_a_second_is_kept_but_has_a_floor() {
        let interval = |text| {
            Config::from_lookup(lookup(&[TAKE, DONE, ("RUNPOD_PING_INTERVAL", text)]))
                .unwrap()
                .ping_interval
        };
        assert_eq!(interval("400"), Duration::from_millis(400));
        assert_eq!(interval("0"), Duration::from_millis(250));
    }

    #[test]
    fn a_ping_interval_out_of_bounds_is_named_and_kept_within_them() {
        for (text, used) in [("10", 250), ("249", 250), ("30001", 30_000), ("3600000", 30_000)] {
            let config = Config::from_lookup(lookup(&[TAKE, DONE, ("RUNPOD_PING_INTERVAL", text)])).unwrap();
            assert_eq!(config.ping_interval, Duration::from_millis(used));
            assert_eq!(
                config.warnings,
                [format!(
                    "RUNPOD_PING_INTERVAL={text} is in milliseconds, and out of bounds; using {used}"
                )]
            );
        }
        for usual in ["250", "10000", "30000"] {
            let config = Config::from_lookup(lookup(&[TAKE, DONE, ("RUNPOD_PING_INTERVAL", usual)])).unwrap();
            assert_eq!(config.warnings, [""; 0]);
        }
    }

    #[test]
    fn a_job_where_the_take_url_belongs_is_one_line_and_is_not_repeated() {
        for job in [r#"{"input": {"prompt": "a cat"}}"#, " [1]"] {
            let problems = Config::from_lookup(lookup(&[("RUNPOD_WEBHOOK_GET_JOB", job)])).unwrap_err();
            assert_eq!(problems, [JOB_AS_URL]);
        }
    }

    #[test]
    fn a_long_value_is_cut_in_the_line_about_it() {
        let long = "x".repeat(10_000);
        let problems = Config::from_lookup(lookup(&[("RUNPOD_WEBHOOK_GET_JOB", &long), DONE])).unwrap_err();
        let line = format!(
            "RUNPOD_WEBHOOK_GET_JOB={}…: not an http:// or https:// URL",
            "x".repeat(80)
        );
        assert_eq!(problems, [line]);
    }

    #[test]
    fn a_placeholder_that_nothing_fills_is_named() {
        let take = (
            "RUNPOD_WEBHOOK_GET_JOB",
            "http://h/v2/e/job-take/${ID}?gpu=$RUNPOD_GPU_TYPE_ID",
        );
        let config = Config::from_lookup(lookup(&[take, DONE])).unwrap();
        assert_eq!(
            config.warnings,
            [
                "RUNPOD_WEBHOOK_GET_JOB has $RUNPOD_GPU_TYPE_ID in it, which nothing fills; it is sent as it is"
            ]
        );
    }

    #[test]
    fn a_worker_without_an_id_makes_one_up_and_says_unknown_in_errors() {
        let config = Config::from_lookup(lookup(&[TAKE, DONE])).unwrap();
        assert_eq!(config.worker_id.len(), 36);
        assert_eq!(config.identity().worker_id, "unknown");
    }

    #[test]
    fn the_old_name_of_the_stream_variable_is_understood() {
        let pairs = [
            TAKE,
            DONE,
            ("RUNPOD_WEBHOOK_JOB_STREAM", "http://127.0.0.1:9/stream/$ID"),
        ];
        assert!(Config::from_lookup(lookup(&pairs)).unwrap().stream.is_some());
    }

    #[test]
    fn the_key_is_in_no_debug_output() {
        let config = Config::from_lookup(lookup(&[TAKE, DONE, ("RUNPOD_AI_API_KEY", "rpa_secret")])).unwrap();
        assert!(!format!("{config:?}").contains("rpa_secret"));
    }
}
