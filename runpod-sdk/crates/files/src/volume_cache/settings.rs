//! What the environment says about caches. It wins over the code.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use runpod_worker::settings::Variables;

/// The variables that are set. `None` where the code decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) volume: Option<PathBuf>,
    pub(super) namespace: Option<String>,
    pub(super) workers: Option<NonZeroUsize>,
    pub(super) compare_content: Option<bool>,
    pub(super) lease: Option<Duration>,
    pub(super) finish: Option<Duration>,
    /// One line for each that cannot be read.
    pub(super) problems: Vec<String>,
}

impl Settings {
    pub(super) fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    pub(super) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut variables = Variables::new(lookup);
        Self {
            volume: variables.text("RUNPOD_WORKER_CACHE_VOLUME").map(PathBuf::from),
            namespace: variables.text("RUNPOD_WORKER_CACHE_NAMESPACE"),
            workers: variables.count("RUNPOD_WORKER_CACHE_WORKERS"),
            compare_content: variables.switch("RUNPOD_WORKER_CACHE_COMPARE_CONTENT"),
            lease: variables.time("RUNPOD_WORKER_CACHE_LEASE"),
            finish: variables.time("RUNPOD_WORKER_CACHE_FINISH"),
            problems: variables.problems,
        }
    }
}

/// One line for each variable that cannot be read.
#[cfg(test)]
fn problems_of(lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
    Settings::from_lookup(lookup).problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_read_and_every_bad_one_is_named() {
        let good = Settings::from_lookup(|name| {
            let text = match name.strip_prefix("RUNPOD_WORKER_CACHE_")? {
                "VOLUME" => "/volume",
                "NAMESPACE" => "shared",
                "WORKERS" => "2",
                "COMPARE_CONTENT" => "True",
                "LEASE" => "3m",
                "FINISH" => "0s",
                _ => return None,
            };
            Some(text.to_owned())
        });
        let wanted = Settings {
            volume: Some("/volume".into()),
            namespace: Some("shared".to_owned()),
            workers: NonZeroUsize::new(2),
            compare_content: Some(true),
            lease: Some(Duration::from_mins(3)),
            finish: Some(Duration::ZERO),
            problems: Vec::new(),
        };
        assert_eq!(good, wanted);
        assert_eq!(
            Settings::from_lookup(|_| Some(String::new())),
            Settings::default()
        );
        insta::assert_snapshot!(problems_of(|_| Some("1.5".to_owned())).join("\n"), @r"
        RUNPOD_WORKER_CACHE_WORKERS=1.5: invalid digit found in string; write a number from 1
        RUNPOD_WORKER_CACHE_COMPARE_CONTENT=1.5: write true or false
        RUNPOD_WORKER_CACHE_LEASE=1.5: time unit needed, for example 1sec or 1ms; write a time such as 90s or 10m
        RUNPOD_WORKER_CACHE_FINISH=1.5: time unit needed, for example 1sec or 1ms; write a time such as 90s or 10m
        ");
    }
}
