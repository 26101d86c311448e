//! Reading the command line: our options and the SDK's flags in one help text, and errors that name the
//! variable a bad value came from.

use std::any::TypeId;
use std::error::Error as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use crate::settings::{self, Settings};

const BAD_OPTIONS: u8 = 2;
/// Options whose values are not repeated in messages.
const MAY_HOLD_SECRETS: [&str; 2] = ["webui-url", "webui-auth"];

/// The process ends after reading its command line, because a text was asked for or an option is wrong. The text is
/// printed already.
#[derive(Debug)]
pub struct CliExit {
    code: ExitCode,
}

impl CliExit {
    /// The exit code of the process.
    pub fn exit_code(self) -> ExitCode {
        self.code
    }
}

impl Settings {
    /// Reads the process's command line and environment.
    ///
    /// # Errors
    ///
    /// `--help` and `--version` have been printed, or an option cannot be understood and that has been
    /// printed.
    pub fn from_command_line() -> Result<Self, CliExit> {
        let command = command();
        let parsed = command
            .clone()
            .try_get_matches()
            .and_then(|matches| Self::from_arg_matches(&matches));
        parsed.map_err(|error| {
            if error.use_stderr() {
                // A process without stderr cannot print it.
                let _ = writeln!(std::io::stderr(), "{}", explain(&command, &error));
                CliExit {
                    code: ExitCode::from(BAD_OPTIONS),
                }
            } else {
                let _ = error.print();
                CliExit {
                    code: ExitCode::SUCCESS,
                }
            }
        })
    }
}

/// Our options, and after them the SDK's flags: `start` reads those itself, clap only has to know them.
fn command() -> Command {
    let flags = runpod_sdk::boot::FLAGS.iter().map(|flag| {
        let arg = Arg::new(flag.name)
            .long(flag.name)
            .help(flag.help)
            .help_heading("Flags of every RunPod worker");
        match flag.value {
            Some(value) => arg.value_name(value).allow_hyphen_values(true),
            None => arg.action(ArgAction::SetTrue),
        }
    });
    Settings::command()
        .mut_args(|arg| {
            if has_blank_variable(&arg) {
                arg.env(None::<&str>)
            } else {
                arg
            }
        })
        .mut_args(|arg| {
            let has_value = arg.get_action().takes_values();
            arg.ignore_case(has_value)
        })
        // Options may stand after a subcommand as well.
        .mut_args(|arg| arg.hide_env_values(true).global(true))
        .args(flags)
}

/// A blank variable counts as unset.
fn has_blank_variable(arg: &Arg) -> bool {
    arg.get_env()
        .and_then(std::env::var_os)
        .is_some_and(|value| value.to_string_lossy().trim().is_empty())
}

/// One line that says which option or variable is wrong and why. Values that may hold a secret are left out.
fn explain(command: &Command, error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if let Some(flag) = context(ContextKind::InvalidArg)
        && error.kind() == ErrorKind::UnknownArgument
        && let Some(instead) = settings::removed(&variable_of(flag))
    {
        return format!("error: {flag} has been removed: {instead}");
    }
    let bad_value = matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue);
    // "--retries <NUMBER>"
    let named = context(ContextKind::InvalidArg)
        .and_then(|arg| arg.strip_prefix("--"))
        .and_then(|arg| arg.split(' ').next());
    let arg = command
        .get_arguments()
        .find(|arg| bad_value && arg.get_long() == named);
    let (Some(arg), Some(flag)) = (arg, named) else {
        return error.render().to_string().trim_end().to_owned();
    };
    let given = std::env::args().any(|word| {
        word.strip_prefix("--")
            .is_some_and(|word| word.split('=').next() == Some(flag))
    });
    let source = match arg.get_env() {
        Some(variable) if !given => format!("{} (the option --{flag})", variable.to_string_lossy()),
        _ => format!("--{flag}"),
    };
    let value = match context(ContextKind::InvalidValue) {
        Some(value) if !MAY_HOLD_SECRETS.contains(&flag) => format!(" '{value}'"),
        _ => String::new(),
    };
    let reason = match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(values)), _) if !values.is_empty() => {
            format!("write one of {}", values.join(", "))
        }
        // A switch has no list of its own.
        (_, Some(_)) if is_switch(arg) => "write true or false".to_owned(),
        (_, Some(reason)) => reason.to_string(),
        _ => "not a possible value".to_owned(),
    };
    format!("error: {source}: bad value{value}: {reason}\n\nFor more information, try '--help'.")
}

/// Whether the option is on or off.
fn is_switch(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<bool>()
}

/// `--probe-interval` → `SD_WORKER_PROBE_INTERVAL`.
fn variable_of(flag: &str) -> String {
    let name = flag.trim_start_matches('-').replace('-', "_");
    format!("SD_WORKER_{}", name.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_sdk_s_flags_are_left_to_the_sdk() {
        let matches = command()
            .try_get_matches_from(["sd-worker", "--test_input", "{}", "--retries=3", "--rp_debugger"])
            .unwrap();
        assert_eq!(Settings::from_arg_matches(&matches).unwrap().retries, 3);
    }

    #[test]
    fn a_bad_value_is_named_with_the_reason() {
        let error = command()
            .try_get_matches_from(["sd-worker", "--retries", "many"])
            .unwrap_err();
        let text = explain(&command(), &error);
        assert!(text.contains("bad value 'many': invalid digit"), "{text}");
    }

    #[test]
    fn a_bad_word_is_answered_with_the_good_ones_which_are_read_in_any_case() {
        let explained = |arguments: [&str; 2]| {
            let line = ["sd-worker"].into_iter().chain(arguments);
            let error = command().try_get_matches_from(line).unwrap_err();
            explain(&command(), &error)
        };
        let text = explained(["--output", "bucket"]);
        assert!(
            text.contains("bad value 'bucket': write one of inline, upload, auto\n"),
            "{text}"
        );
        let matches = command()
            .try_get_matches_from(["sd-worker", "--output", "Upload", "--reencode", "WEBP"])
            .unwrap();
        let settings = Settings::from_arg_matches(&matches).unwrap();
        assert_eq!(settings.output.output, settings::OutputMode::Upload);
    }

    #[test]
    fn a_removed_option_is_named_with_what_to_use_instead() {
        let error = command()
            .try_get_matches_from(["sd-worker", "--retry-wait", "1s"])
            .unwrap_err();
        let text = explain(&command(), &error);
        assert!(
            text.starts_with("error: --retry-wait has been removed: the first wait is 0.1 s"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_secret_is_not_repeated() {
        let error = command()
            .try_get_matches_from(["sd-worker", "--webui-auth", "hunter2"])
            .unwrap_err();
        let text = explain(&command(), &error);
        assert!(
            text.contains("USER:PASSWORD") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
