//! The variables a worker gets beside those of the platform.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::str::FromStr;

/// Variables that pass without being named: an exact name, or the beginning of one that ends in `_`.
///
/// No family holds keys of cloud services or model hubs; what a worker needs of those is named.
const PASSED: &[&str] = &[
    "COMMANDLINE_ARGS",
    "CONDA_PREFIX",
    "CUDA_",
    "HF_HOME",
    "HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "LANG",
    "LC_",
    "LD_",
    "LOGNAME",
    "NO_PROXY",
    "NVIDIA_",
    "PATH",
    "PYTHON",
    "PYTORCH_",
    "RUNPOD_WORKER_",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SD_WORKER_",
    "SHELL",
    "SSL_CERT_",
    "TMPDIR",
    "TORCH_",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// One `--env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnvRule {
    /// Passes on the command's own variable.
    Pass(String),
    /// Sets one.
    Set(String, String),
}

impl FromStr for EnvRule {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some((name, value)) => Self::Set(name.to_owned(), value.to_owned()),
            None => Self::Pass(text.to_owned()),
        })
    }
}

/// What of the command's own environment its workers get.
pub(super) fn of_workers(rules: &[EnvRule]) -> Vec<(OsString, OsString)> {
    chosen(std::env::vars_os(), rules)
}

fn chosen(own: impl Iterator<Item = (OsString, OsString)>, rules: &[EnvRule]) -> Vec<(OsString, OsString)> {
    let named = |name: &OsStr| {
        rules
            .iter()
            .any(|rule| matches!(rule, EnvRule::Pass(passed) if name == passed.as_str()))
    };
    let mut chosen: Vec<_> = own.filter(|(name, _)| passes(name) || named(name)).collect();
    for rule in rules {
        if let EnvRule::Set(name, value) = rule {
            chosen.push((name.into(), value.into()));
        }
    }
    chosen
}

fn passes(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    PASSED.iter().any(|passed| {
        let family = passed.ends_with('_') || *passed == "PYTHON";
        name == *passed || (family && name.starts_with(passed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(own: &[&str], rules: &[&str]) -> Vec<String> {
        let own = own.iter().map(|name| ((*name).into(), "value".into()));
        let rules: Vec<EnvRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        chosen(own, &rules)
            .into_iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn keys_and_tokens_do_not_reach_a_worker() {
        let own = [
            "RUNPOD_API_KEY",
            "RUNPOD_AI_API_KEY",
            "RUNPOD_POD_ID",
            "HF_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "PATHOLOGY",
            "SSH_AUTH_SOCK",
        ];
        assert_eq!(names(&own, &[]), [""; 0]);
    }

    #[test]
    fn what_every_program_needs_and_what_is_meant_for_workers_passes() {
        let own = [
            "PATH",
            "PYTHONPATH",
            "CUDA_VISIBLE_DEVICES",
            "LC_ALL",
            "SD_WORKER_WEBUI_URL",
            "RUNPOD_WORKER_JOURNAL",
        ];
        assert_eq!(names(&own, &[]).len(), own.len());
    }

    #[test]
    fn a_variable_is_passed_on_by_name_or_set_with_a_value() {
        assert_eq!(
            names(&["HF_TOKEN", "OTHER"], &["HF_TOKEN", "A=b=c", "ABSENT"]),
            ["HF_TOKEN=value", "A=b=c"]
        );
    }
}
