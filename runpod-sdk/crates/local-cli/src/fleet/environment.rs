//! The variables a worker gets beside those of the platform.

use std::convert::Infallible;
use std::str::FromStr;

use runpod_child::Inheritance;

/// Settings of our own workers, which pass whatever their names say, and what Rust's programs read.
const OURS: [&str; 2] = ["RUNPOD_WORKER_", "SD_WORKER_"];
const RUST: [&str; 2] = ["RUST_BACKTRACE", "RUST_LOG"];

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

/// What of the command's own environment its workers get: what programs need to run, no keys of others, and what was
/// named.
pub(super) fn inherited(rules: &[EnvRule]) -> Inheritance {
    let own = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    inheritance(own, rules)
}

fn inheritance(own: impl Iterator<Item = String>, rules: &[EnvRule]) -> Inheritance {
    let named = rules.iter().filter_map(|rule| match rule {
        EnvRule::Pass(name) => Some(name.clone()),
        EnvRule::Set(..) => None,
    });
    Inheritance::usual()
        .and(own.filter(|name| OURS.iter().any(|ours| name.starts_with(ours))))
        .and(RUST)
        .and(named)
}

/// The variables that are set.
pub(super) fn set(rules: &[EnvRule]) -> impl Iterator<Item = (&str, &str)> {
    rules.iter().filter_map(|rule| match rule {
        EnvRule::Set(name, value) => Some((name.as_str(), value.as_str())),
        EnvRule::Pass(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(own: &[&str], rules: &[&str]) -> Vec<String> {
        let rules: Vec<EnvRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let names = own.iter().map(|&name| name.to_owned());
        let inheritance = inheritance(names.clone(), &rules);
        names.filter(|name| inheritance.has(name)).collect()
    }

    #[test]
    fn keys_and_tokens_of_others_do_not_reach_a_worker() {
        let own = [
            "RUNPOD_API_KEY",
            "RUNPOD_POD_ID",
            "HF_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "SSH_AUTH_SOCK",
        ];
        assert_eq!(passed(&own, &[]), [""; 0]);
        assert_eq!(passed(&own, &["HF_TOKEN"]), ["HF_TOKEN"]);
    }

    #[test]
    fn the_settings_of_our_workers_pass_a_password_among_them_too() {
        let own = [
            "PATH",
            "SD_WORKER_WEBUI_AUTH",
            "RUNPOD_WORKER_JOURNAL",
            "RUST_LOG",
        ];
        assert_eq!(passed(&own, &[]), own);
    }

    #[test]
    fn a_variable_is_set_with_a_value() {
        let rules = ["A=b=c", "PASSED"].map(|rule| rule.parse().unwrap());
        assert_eq!(set(&rules).collect::<Vec<_>>(), [("A", "b=c")]);
    }
}
