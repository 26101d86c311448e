//! What the environment says about caches. It wins over the code.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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
        let get = |name: &str| lookup(name).filter(|text| !text.is_empty());
        let mut problems = Vec::new();
        let time = |text: &str| humantime::parse_duration(text).ok();
        Self {
            volume: get("RUNPOD_WORKER_CACHE_VOLUME").map(PathBuf::from),
            namespace: get("RUNPOD_WORKER_CACHE_NAMESPACE"),
            workers: read(
                &get,
                &mut problems,
                "RUNPOD_WORKER_CACHE_WORKERS",
                "a number from 1",
                parsed,
            ),
            compare_content: read(
                &get,
                &mut problems,
                "RUNPOD_WORKER_CACHE_COMPARE_CONTENT",
                "true or false",
                |text| parsed(&text.to_ascii_lowercase()),
            ),
            lease: read(
                &get,
                &mut problems,
                "RUNPOD_WORKER_CACHE_LEASE",
                "a time such as 10m",
                |text| time(text).filter(|lease| !lease.is_zero()),
            ),
            finish: read(
                &get,
                &mut problems,
                "RUNPOD_WORKER_CACHE_FINISH",
                "a time such as 30s",
                time,
            ),
            problems,
        }
    }
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn read<T>(
    get: impl Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
    name: &str,
    wanted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = get(name)?;
    let value = parse(&text);
    if value.is_none() {
        problems.push(format!("{name}={text}: write {wanted}"));
    }
    value
}

/// One line for each variable that cannot be read.
pub(crate) fn problems_of(lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
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
        let bad = problems_of(|name| {
            let known = name.starts_with("RUNPOD_WORKER_CACHE_");
            known.then(|| if name.ends_with("LEASE") { "0s" } else { "0.5" }.to_owned())
        });
        insta::assert_snapshot!(bad.join("\n"), @r"
        RUNPOD_WORKER_CACHE_WORKERS=0.5: write a number from 1
        RUNPOD_WORKER_CACHE_COMPARE_CONTENT=0.5: write true or false
        RUNPOD_WORKER_CACHE_LEASE=0s: write a time such as 10m
        RUNPOD_WORKER_CACHE_FINISH=0.5: write a time such as 30s
        ");
    }
}
