//! The flags of every worker, spelled as in the Python worker (`docs/protocol/worker-protocol.md` §13).
//!
//! The parser is small on purpose: it leaves unknown flags to the program.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use runpod_protocol::{nearest, variable};
use serde_json::Value;

use super::test_job;
use crate::settings::{VARIABLES, Variable};

/// One flag that [`start`](crate::start) understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flag {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// The name of its value; `None` for a switch.
    pub value: Option<&'static str>,
    /// What it does, in one line.
    pub help: &'static str,
}

const fn flag(name: &'static str, value: Option<&'static str>, help: &'static str) -> Flag {
    Flag { name, value, help }
}

/// All flags, for programs that show them in a help text of their own.
pub const FLAGS: &[Flag] = &[
    flag(
        "test_input",
        Some("JSON"),
        "run one job, print its result, and exit: '{\"input\": …}', or a file with it",
    ),
    flag(
        "test_output",
        Some("JSON"),
        "with a local job: exit 1 unless its output equals this, or what this file holds",
    ),
    flag(
        "schema",
        None,
        "print the JSON Schema of the input, and nothing else, and exit",
    ),
    flag(
        "rp_log_level",
        Some("NAME"),
        "ERROR, WARN, INFO, DEBUG or TRACE; also RUNPOD_LOG_LEVEL",
    ),
    flag(
        "rp_debugger",
        None,
        "accepted for compatibility; every job's timeline is logged anyway",
    ),
    flag(
        "rp_serve_api",
        None,
        "serve RunPod's API on this machine and work for it; with --test_input for that job only (feature `local-server`)",
    ),
    flag("serve", None, "the same as --rp_serve_api"),
    flag(
        "rp_api_host",
        Some("HOST"),
        "with --rp_serve_api: where to listen (localhost)",
    ),
    flag(
        "rp_api_port",
        Some("PORT"),
        "with --rp_serve_api: where to listen (8000)",
    ),
    flag(
        "rp_api_concurrency",
        Some("N"),
        "with --rp_serve_api: jobs at once",
    ),
];

/// The default address of the local API, as in the Python worker.
const PORT: u16 = 8000;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) test_input: Option<String>,
    pub(super) test_output: Option<String>,
    pub(super) log_level: Option<String>,
    pub(super) serve: Option<Serve>,
    pub(super) schema: bool,
    /// One line for each flag that is spelled almost like one of the worker's.
    pub(super) misspelt: Vec<String>,
}

/// The options of the local platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Serve {
    pub(super) address: SocketAddr,
    pub(super) concurrency: Option<NonZeroUsize>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Run(Flags),
    Help,
}

impl Flags {
    pub(super) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Parsed, String> {
        let mut flags = Self::default();
        let (mut serve, mut host, mut port, mut concurrency) =
            (false, IpAddr::from([127, 0, 0, 1]), None, None);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                break;
            }
            if argument == "--help" || argument == "-h" {
                return Ok(Parsed::Help);
            }
            let Some((name, inline)) = split(&argument) else {
                flags.misspelt.extend(misspelt(&argument));
                continue;
            };
            let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) else {
                flags.misspelt.extend(misspelt(&argument));
                continue;
            };
            let value = match flag.value {
                Some(kind) => inline
                    .or_else(|| arguments.next())
                    .ok_or_else(|| format!("--{name} needs a value: --{name} {kind}"))?,
                None => String::new(),
            };
            match name {
                "test_input" => flags.test_input = variable::unless_blank(Some(value)),
                "test_output" => flags.test_output = Some(value),
                "schema" => flags.schema = true,
                "rp_log_level" => flags.log_level = Some(value),
                "rp_serve_api" | "serve" => serve = true,
                "rp_api_host" => host = read_host(&value)?,
                "rp_api_port" => {
                    let number: u16 = value
                        .parse()
                        .map_err(|_| format!("--rp_api_port {value} is not a port"))?;
                    port = Some(number);
                }
                "rp_api_concurrency" => {
                    let jobs = value
                        .parse()
                        .map_err(|_| format!("--rp_api_concurrency {value} is not a number from 1"))?;
                    concurrency = Some(jobs);
                }
                _ => {}
            }
        }
        if serve {
            built_with_platform("--rp_serve_api")?;
            // A platform for a single job needs no fixed port.
            let usual = if flags.test_input.is_some() { 0 } else { PORT };
            let address = SocketAddr::new(host, port.unwrap_or(usual));
            flags.serve = Some(Serve { address, concurrency });
        }
        Ok(Parsed::Run(flags))
    }

    /// The value of `--test_output`, if it is given.
    pub(super) fn expected_output(&self) -> Result<Option<Value>, String> {
        self.test_output
            .as_deref()
            .map(test_job::expected_output)
            .transpose()
    }

    /// Serves the platform where the environment asks for it and no flag does.
    pub(super) fn serve_at(&mut self, address: Option<SocketAddr>) -> Result<(), String> {
        if let Some(address) = address.filter(|_| self.serve.is_none()) {
            built_with_platform("RUNPOD_WORKER_SERVE_API")?;
            self.serve = Some(Serve {
                address,
                concurrency: None,
            });
        }
        Ok(())
    }
}

/// The arguments without the flags of the local platform, for a worker process that works for it.
#[cfg(feature = "local-server")]
pub(super) fn without_platform(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            kept.push(argument);
            kept.extend(arguments);
            break;
        }
        let of_platform =
            |name: &str| name == "serve" || name == "rp_serve_api" || name.starts_with("rp_api_");
        let flag = split(&argument).and_then(|(name, inline)| {
            let flag = FLAGS.iter().find(|flag| flag.name == name && of_platform(name))?;
            Some((flag, inline))
        });
        match flag {
            None => kept.push(argument),
            Some((flag, None)) if flag.value.is_some() => {
                arguments.next();
            }
            Some(_) => {}
        }
    }
    kept
}

/// The error of a worker that is asked for the local platform, by `name`, and has none.
fn built_with_platform(name: &str) -> Result<(), String> {
    if cfg!(feature = "local-server") {
        return Ok(());
    }
    Err(format!(
        "{name}: this worker was built without the local platform; \
         build it with the feature `local-server` of runpod-sdk"
    ))
}

/// The name of a flag, and its value behind an equals sign.
fn split(argument: &str) -> Option<(&str, Option<String>)> {
    let body = argument.strip_prefix("--")?;
    Some(match body.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (body, None),
    })
}

/// A line about a flag that is spelled almost like one of the worker's: with one dash, or a long one of a text
/// program, or with another letter. It may be a flag of the program's own.
fn misspelt(argument: &str) -> Option<String> {
    let body = argument.trim_start_matches(['-', '\u{2013}', '\u{2014}']);
    if body == argument {
        return None;
    }
    let name = body.split_once('=').map_or(body, |(name, _)| name);
    let near = nearest(name, FLAGS.iter().map(|flag| flag.name))?;
    let given = &argument[..argument.len() - body.len() + name.len()];
    Some(format!(
        "{given} is left to the program; if the worker's own --{near} was meant, write it like that"
    ))
}

fn read_host(host: &str) -> Result<IpAddr, String> {
    if host == "localhost" {
        return Ok(IpAddr::from([127, 0, 0, 1]));
    }
    host.parse()
        .map_err(|_| format!("--rp_api_host {host} is not an IP address or localhost"))
}

/// The help text of a worker that has no other flags.
pub(super) fn help() -> String {
    let mut text = String::from(
        "A RunPod Serverless worker.\n\n\
         On the platform it takes no flags: the environment says where its jobs are.\n\
         On a laptop, run one job:\n\n    \
         WORKER --test_input '{\"input\": …}'\n\n\
         or put that object into a file test_input.json and start it without flags. The whole way, from a\n\
         client through RunPod's API on this machine (feature `local-server`):\n\n    \
         WORKER --rp_serve_api --test_input '{\"input\": …}'\n\nFlags:\n",
    );
    for flag in FLAGS {
        let usage = match flag.value {
            Some(value) => format!("--{} {value}", flag.name),
            None => format!("--{}", flag.name),
        };
        let _ = writeln!(text, "  {usage:<26} {}", flag.help);
    }
    text.push_str("\nEnvironment (times such as 90s or 10m):\n");
    for Variable { name, default, help } in VARIABLES {
        let _ = match *default {
            "" => writeln!(text, "  {name}\n      {help}"),
            default => writeln!(text, "  {name} ({default})\n      {help}"),
        };
    }
    text.push_str("  RUNPOD_LOG_LEVEL, RUST_LOG\n      what is logged");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Parsed, String> {
        Flags::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn values_come_after_a_blank_or_an_equals_sign() {
        let expected = Flags {
            test_input: Some("{}".into()),
            log_level: Some("WARN".into()),
            ..Flags::default()
        };
        assert_eq!(
            parse("--test_input {} --rp_log_level=WARN"),
            Ok(Parsed::Run(expected))
        );
    }

    #[test]
    fn unknown_flags_are_the_programs_own() {
        assert_eq!(
            parse("--model xl --verbose positional"),
            Ok(Parsed::Run(Flags::default()))
        );
        assert_eq!(parse("-- --test_input {}"), Ok(Parsed::Run(Flags::default())));
        let Ok(Parsed::Run(flags)) = parse("--test_in {}") else {
            panic!("an unknown flag is no error");
        };
        assert_eq!(flags.test_input, None, "no prefixes");
    }

    #[test]
    fn a_flag_that_is_almost_one_of_the_workers_gets_a_line_that_names_it() {
        for (given, meant) in [
            ("--test-input", "test_input"),
            ("--test_inputs", "test_input"),
            ("--testinput={}", "test_input"),
            ("-test_input", "test_input"),
            ("\u{2014}test_input", "test_input"),
            ("--Test_Input", "test_input"),
            ("--test-output", "test_output"),
            ("--rp-serve-api", "rp_serve_api"),
            ("--rp_server_api", "rp_serve_api"),
            ("--rp_api_prot=1", "rp_api_port"),
            ("--rp-log-level", "rp_log_level"),
            ("--shema", "schema"),
        ] {
            let Ok(Parsed::Run(flags)) = parse(&format!("--model xl {given} -v positional")) else {
                panic!("{given} is no error");
            };
            let name = given.split('=').next().unwrap();
            assert_eq!(
                flags.misspelt,
                [format!(
                    "{name} is left to the program; if the worker's own --{meant} was meant, write it like that"
                )]
            );
        }
    }

    #[test]
    fn a_flag_without_its_value_is_an_error() {
        assert_eq!(
            parse("--test_input").unwrap_err(),
            "--test_input needs a value: --test_input JSON"
        );
    }

    #[cfg(not(feature = "local-server"))]
    #[test]
    fn a_flag_whose_feature_is_missing_names_the_feature() {
        assert!(
            parse("--rp_serve_api")
                .unwrap_err()
                .contains("feature `local-server`")
        );
    }

    #[cfg(feature = "local-server")]
    #[test]
    fn the_local_platform_listens_where_pythons_did() {
        let serve = |line: &str| match parse(line) {
            Ok(Parsed::Run(Flags { serve, .. })) => serve.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(serve("--rp_serve_api").address.to_string(), "127.0.0.1:8000");
        let given = serve("--serve --rp_api_host 0.0.0.0 --rp_api_port=9000 --rp_api_concurrency 4");
        assert_eq!(given.address.to_string(), "0.0.0.0:9000");
        assert_eq!(given.concurrency, NonZeroUsize::new(4));
        assert_eq!(
            parse("--serve --rp_api_port high").unwrap_err(),
            "--rp_api_port high is not a port"
        );
        assert!(parse("--serve --rp_api_concurrency 0").is_err());
        assert_eq!(
            serve("--serve --test_input {}").address.port(),
            0,
            "any that is free"
        );
        assert_eq!(serve("--serve --test_input {} --rp_api_port 7").address.port(), 7);
    }

    #[cfg(feature = "local-server")]
    #[test]
    fn a_worker_of_the_platform_gets_every_flag_but_those_of_the_platform() {
        let given = "--model xl --rp_serve_api --rp_api_port 0 --rp_api_host=::1 --serve --rp_log_level WARN \
                     --rp_api_concurrency 2 -v -- --serve";
        let kept = without_platform(given.split_whitespace().map(str::to_owned));
        assert_eq!(kept.join(" "), "--model xl --rp_log_level WARN -v -- --serve");
    }

    #[test]
    fn the_help_teaches() {
        insta::assert_snapshot!(help());
    }
}
