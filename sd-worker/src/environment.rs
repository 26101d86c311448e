//! The variables of a deployed worker, from the tables of settings: the worker's own and the SDK's.

use clap::{Arg, CommandFactory as _};
use runpod_sdk::settings::VARIABLES;

use crate::settings::Settings;

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    /// The default; empty without one.
    pub(crate) default: String,
    /// What it sets.
    pub(crate) what: String,
    pub(crate) kind: Kind,
}

/// What a variable's text may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// One of these words.
    Word(Vec<String>),
    /// Any text; each variable has rules of its own.
    Text,
}

/// Variables whose text may hold a secret, and is not shown.
const MAY_HOLD_SECRETS: [&str; 3] = [
    "SD_WORKER_WEBUI_URL",
    "SD_WORKER_WEBUI_AUTH",
    "SD_WORKER_WEBUI_COMMAND",
];

/// Whether the variable's text may be shown.
pub(crate) fn may_be_shown(name: &str) -> bool {
    !MAY_HOLD_SECRETS.contains(&name)
}

/// Every variable that this program reads beside those that the platform sets.
pub(crate) fn variables() -> Vec<Variable> {
    let command = Settings::command();
    let own = command.get_arguments().filter_map(of_option);
    own.chain(of_the_sdk()).collect()
}

fn of_option(option: &Arg) -> Option<Variable> {
    let name = option.get_env()?.to_string_lossy().into_owned();
    let takes_value = option.get_action().takes_values();
    let default = option.get_default_values().first().filter(|_| takes_value);
    let default = default.map_or_else(String::new, |default| default.to_string_lossy().into_owned());
    let words = option.get_possible_values();
    let kind = if !takes_value {
        Kind::Switch
    } else if !words.is_empty() {
        Kind::Word(words.iter().map(|word| word.get_name().to_owned()).collect())
    } else if default.parse::<u64>().is_ok() {
        Kind::Number
    } else {
        Kind::Text
    };
    Some(Variable {
        name,
        default: if takes_value { default } else { "false".to_owned() },
        what: option.get_help().map(ToString::to_string).unwrap_or_default(),
        kind,
    })
}

fn of_the_sdk() -> impl Iterator<Item = Variable> {
    VARIABLES.iter().map(|variable| Variable {
        name: variable.name.to_owned(),
        default: variable.default.to_owned(),
        what: variable.help.to_owned(),
        kind: Kind::Text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_has_its_kind_and_default() {
        let all = variables();
        let of = |name: &str| {
            let found = all.iter().find(|variable| variable.name == name).unwrap();
            (found.kind.clone(), found.default.clone())
        };
        let words = ["off", "warn", "strict"].map(str::to_owned).to_vec();
        assert_eq!(of("SD_WORKER_CHECKS"), (Kind::Word(words), "off".to_owned()));
        assert_eq!(of("SD_WORKER_STREAM"), (Kind::Switch, "false".to_owned()));
        assert_eq!(of("SD_WORKER_RETRIES"), (Kind::Number, "10".to_owned()));
        assert_eq!(of("SD_WORKER_CHECKPOINT"), (Kind::Text, String::new()));
        assert_eq!(of("RUNPOD_WORKER_JOURNAL"), (Kind::Text, "off".to_owned()));
        assert!(all.iter().all(|variable| !variable.what.is_empty()));
    }

    #[test]
    fn what_may_hold_secrets_is_a_variable() {
        let all = variables();
        for name in MAY_HOLD_SECRETS {
            assert!(all.iter().any(|variable| variable.name == name), "{name}");
        }
    }
}
