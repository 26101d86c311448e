//! The table of the worker's own variables. Parser, `--help` and `docs/settings.md` come from it.
//!
//! To add a variable, add a row here and apply its field in `settings.rs`: until both are done nothing compiles.
//! A variable exists if a situation can be named in which a user has to set it; its help names that situation.

use runpod_protocol::variable;

use super::form::{
    Address, Bytes, Count, File, Form, Host, List, Number, OrOff, PositiveTime, Switch, Text, Time, Word,
};
use super::{TakeAhead, WhenAbandoned, WorkerMode};

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The default; empty without one.
    pub default: &'static str,
    /// What it sets, and when to set it.
    pub help: &'static str,
}

/// A variable whose text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={text}: {problem}")]
#[non_exhaustive]
pub struct VariableProblem {
    /// The variable's name.
    pub variable: &'static str,
    /// Its text.
    pub text: String,
    /// The problem of the text, and what to write instead.
    pub problem: String,
}

macro_rules! variables {
    ($($name:literal => $field:ident: $form:ty, $default:literal, $help:literal;)*) => {
        /// The worker's own variables, in the order in which they are shown.
        pub const VARIABLES: &[Variable] = &[
            $(Variable { name: $name, default: $default, help: $help }),*
        ];

        /// The values of the worker's own variables; `None` if not set.
        #[derive(Debug, Default)]
        #[non_exhaustive]
        pub struct Environment {
            $(
                #[doc = concat!("`", $name, "`: ", $help, ".")]
                pub $field: Option<<$form as Form>::Value>,
            )*
        }

        impl Environment {
            /// Reads the variables through `lookup`, and names each that cannot be read.
            ///
            /// A blank variable counts as unset.
            pub fn read(lookup: impl Fn(&str) -> Option<String>) -> (Self, Vec<VariableProblem>) {
                let mut problems = Vec::new();
                let environment = Self {
                    $($field: read::<$form>($name, &lookup, &mut problems),)*
                };
                (environment, problems)
            }
        }
    };
}

variables! {
    "RUNPOD_WORKER_CONCURRENCY" => concurrency: Count, "1",
        "jobs at once; more where handlers wait for others, or the GPU has room for several";
    "RUNPOD_WORKER_TAKE_AHEAD" => take_ahead: Word<TakeAhead>, "off",
        "off, always or just_in_time: fetch the next job early, where the GPU idles between two jobs";
    "RUNPOD_WORKER_TIMEOUT" => timeout: PositiveTime, "",
        "how long one job may run, where a stuck one must not cost until the platform's own limit";
    "RUNPOD_WORKER_CANCEL_GRACE" => cancel_grace: Time, "10s",
        "from a job's cancellation to dropping it; more where a handler needs longer to stop its GPU";
    "RUNPOD_WORKER_SHUTDOWN_GRACE" => shutdown_grace: Time, "10m",
        "for running jobs after SIGTERM; as long as the longest job";
    "RUNPOD_WORKER_DELIVERY_WINDOW" => delivery_window: Time, "5m",
        "for delivering one result; longer where the network is down for longer";
    "RUNPOD_WORKER_PROGRESS_INTERVAL" => progress_interval: Time, "500ms",
        "between two progress posts of a job; longer where many jobs report often";
    "RUNPOD_WORKER_LARGEST_RESULT" => largest_result: Count, "",
        "bytes: fail larger results at once, where the platform would refuse them after the upload";
    "RUNPOD_WORKER_REFRESH" => refresh: Switch, "false",
        "true: ask to be replaced after the first job, where a job leaves the machine unclean";
    "RUNPOD_WORKER_WHEN_ABANDONED" => when_abandoned: Word<WhenAbandoned>, "requeue",
        "requeue or post_error: what happens to jobs that outlast the grace; post_error where no job may run twice";
    "RUNPOD_WORKER_LOG_TAIL" => log_tail: Number, "10",
        "a failed job's own log lines in its error; 0 where callers must not see them";
    "RUNPOD_WORKER_METRICS" => metrics: OrOff<Address>, "off",
        "serve metrics at this port of this machine, or at this address (feature `metrics`)";
    "RUNPOD_WORKER_SCRATCH" => scratch: File, "",
        "directory for jobs' temporary files, where the system's own is too small";
    "RUNPOD_WORKER_JOURNAL" => journal: OrOff<File>, "off",
        "a directory where results outlive the process, best on the network volume";
    "RUNPOD_WORKER_JOURNAL_BYTES" => journal_bytes: Bytes, "1073741824",
        "how large the journal may grow; less on a volume that is small";
    "RUNPOD_WORKER_JOURNAL_CRASHES" => journal_crashes: Number, "3",
        "how many crashes a job may cause before it is not run again; 0: no limit";
    "RUNPOD_WORKER_AUTOMATIC_CHECKS" => automatic_checks: Switch, "true if deployed",
        "true or false: check memory, disk and network before the first job; false on a machine they misjudge";
    "RUNPOD_WORKER_NETWORK_TARGETS" => network_targets: List, "8.8.8.8:53",
        "host:port, separated by commas: what the network check connects to where the platform does not answer; others where a firewall blocks that one";
    "RUNPOD_WORKER_MODE" => mode: Word<WorkerMode>, "queue",
        "queue, or load-balancing: answer requests on PORT, for a load-balancing endpoint";
    "RUNPOD_WORKER_SERVE_API" => serve_api: OrOff<Address>, "off",
        "serve RunPod's API at this port of this machine, or at this address, as --rp_serve_api does; on a plain Pod, whose command is hard to change (feature `local-server`)";
    "RUNPOD_WORKER_HTTP_QUEUE" => http_queue: Number, "16",
        "requests that may wait for a slot on an HTTP endpoint; fewer where callers go elsewhere";
    "RUNPOD_WORKER_HTTP_HOST" => http_host: Host, "0.0.0.0 on a pod, else 127.0.0.1",
        "where an HTTP endpoint listens; another on a machine with several addresses";
    "RUNPOD_WORKER_DOWNLOAD_TIMEOUT" => download_timeout: PositiveTime, "10m",
        "for one download; longer for very large files";
    "RUNPOD_WORKER_UPLOAD_TIMEOUT" => upload_timeout: PositiveTime, "5m",
        "for one request to the storage; longer on a slow line";
    "RUNPOD_WORKER_LOCAL_UPLOADS" => local_uploads: File, "",
        "directory for uploads where no storage is set, on a laptop";
    "RUNPOD_WORKER_CACHE_VOLUME" => cache_volume: File, "/runpod-volume",
        "where VolumeCache keeps its caches, if the volume is mounted elsewhere";
    "RUNPOD_WORKER_CACHE_NAMESPACE" => cache_namespace: Text, "RUNPOD_ENDPOINT_ID",
        "the name of the caches on the volume; the same for endpoints that share one";
}

/// The variables that were removed, and their successors.
pub(super) const REMOVED: &[(&str, &str)] = &[
    ("RUNPOD_WORKER_POLL_LIMIT", "a poll may stay open for 90 s"),
    ("RUNPOD_WORKER_REQUEST_LIMIT", "a post may take 10 minutes"),
    ("RUNPOD_WORKER_CONNECT_LIMIT", "a connection may take 30 s"),
    ("RUNPOD_WORKER_PROGRESS_LIMIT", "a progress post may take 10 s"),
    (
        "RUNPOD_WORKER_DELIVERY_LONGEST_WAIT",
        "two posts of a result are at most 10 s apart",
    ),
    (
        "RUNPOD_WORKER_STUCK_AFTER",
        "the heartbeat stops after 60 s without a sign of life",
    ),
    (
        "RUNPOD_WORKER_HELD_RESULTS",
        "no job is taken while 16 results are undelivered",
    ),
    (
        "RUNPOD_WORKER_HELD_BYTES",
        "no job is taken while 64 MiB of results are undelivered",
    ),
    (
        "RUNPOD_WORKER_PROTOCOL_VERSION",
        "the version is that of the protocol that this SDK speaks",
    ),
    (
        "RUNPOD_WORKER_HANDLER_THREADS",
        "set it in the program: Worker::handler_threads",
    ),
    (
        "RUNPOD_WORKER_DISK_PATHS",
        "set it in the program: fitness::disk().path(…)",
    ),
    (
        "RUNPOD_WORKER_FITNESS_LIMIT",
        "set it in the program: fitness::within",
    ),
    (
        "RUNPOD_WORKER_JOURNAL_KEEP",
        "set it in the program: Journal::keep",
    ),
    (
        "RUNPOD_WORKER_HTTP_BODY_LIMIT",
        "a request may have 32 MiB; RunPod passes on 30 MB",
    ),
    (
        "RUNPOD_WORKER_DOWNLOAD_CONNECT_TIMEOUT",
        "a connection may take 10 s",
    ),
    (
        "RUNPOD_WORKER_DOWNLOAD_STALL_TIMEOUT",
        "set it in the program: DownloaderBuilder::stall_timeout",
    ),
    (
        "RUNPOD_WORKER_DOWNLOAD_MEMORY",
        "set it in the program: DownloaderBuilder::max_in_memory",
    ),
    (
        "RUNPOD_WORKER_DOWNLOAD_ATTEMPTS",
        "a download is tried three times",
    ),
    (
        "RUNPOD_WORKER_DOWNLOAD_PARALLEL",
        "set it in the program: DownloaderBuilder::parallel",
    ),
    ("RUNPOD_WORKER_UPLOAD_ATTEMPTS", "a request is tried three times"),
    (
        "RUNPOD_WORKER_UPLOAD_PARALLEL",
        "set it in the program: Bucket::parallel",
    ),
    (
        "RUNPOD_WORKER_CACHE_WORKERS",
        "four threads for each core copy files, at most 32",
    ),
    (
        "RUNPOD_WORKER_CACHE_COMPARE_CONTENT",
        "set it in the program: VolumeCache::compare_content",
    ),
    (
        "RUNPOD_WORKER_CACHE_LEASE",
        "a writer that is silent for 10 minutes is replaced",
    ),
    ("RUNPOD_WORKER_CACHE_FINISH", "the end of the process waits 30 s"),
];

fn read<F: Form>(
    name: &'static str,
    lookup: impl Fn(&str) -> Option<String>,
    problems: &mut Vec<VariableProblem>,
) -> Option<F::Value> {
    let text = variable::unless_blank(lookup(name))?;
    let text = text.trim();
    F::read(text)
        .map_err(|problem| {
            problems.push(VariableProblem {
                variable: name,
                text: text.to_owned(),
                problem,
            });
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_variable_that_can_not_be_read_is_named_with_what_to_write() {
        let (_, problems) = Environment::read(|_| Some("-1.5 ?".to_owned()));
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_blank_variable_counts_as_unset() {
        let (environment, problems) = Environment::read(|_| Some("  ".to_owned()));
        assert_eq!(
            format!("{environment:?}"),
            format!("{:?}", Environment::default())
        );
        assert_eq!(problems, []);
    }

    #[test]
    fn no_name_is_there_twice_or_both_read_and_removed() {
        let names = VARIABLES.iter().map(|variable| variable.name);
        let mut all: Vec<&str> = names.chain(REMOVED.iter().map(|(name, _)| *name)).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn the_page_shows_the_table() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/settings.md");
        let text = std::fs::read_to_string(&page).unwrap();
        let (head, rest) = text.split_once("<!-- table -->\n").unwrap();
        let (_, tail) = rest.split_once("<!-- end of table -->\n").unwrap();
        let mut table =
            String::from("| variable | default | what it sets, and when to set it |\n|---|---|---|\n");
        for Variable { name, default, help } in VARIABLES {
            let default = if default.is_empty() { "none" } else { default };
            writeln!(table, "| `{name}` | {default} | {help} |").unwrap();
        }
        let wanted = format!("{head}<!-- table -->\n{table}<!-- end of table -->\n{tail}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&page, &wanted).unwrap();
        } else {
            assert_eq!(text, wanted, "run this test with UPDATE_DOCS=1");
        }
    }
}
