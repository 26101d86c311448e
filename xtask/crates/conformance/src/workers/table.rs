//! The table of what the published worker and ours do, and how it is written down.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::Side;

/// One worker process, the jobs it gets and what is looked at when it has ended.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// The name of the handler in both programs.
    pub(super) handler: String,
    /// All jobs are submitted at once, and let on when all of them run.
    #[serde(default)]
    pub(super) together: bool,
    #[serde(default)]
    pub(super) jobs: Vec<JobCase>,
    /// Workers that end of their own accord; the others are sent SIGTERM after the last job.
    #[serde(default)]
    pub(super) ends_itself: Vec<Side>,
    pub(super) process: Vec<ProcessCase>,
}

/// One job.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct JobCase {
    pub(super) case: String,
    pub(super) input: Value,
    /// What happens while the handler waits at the gate, before it is let on.
    #[serde(default)]
    pub(super) at_gate: Option<AtGate>,
    #[serde(flatten)]
    pub(super) expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AtGate {
    /// The platform hears of the progress.
    Progress,
    /// The platform hears in a heartbeat that the worker holds the job.
    Heartbeat,
    /// A client cancels the job, and the handler is stopped.
    Cancel,
    /// The worker is sent SIGTERM.
    Sigterm,
}

/// One look at a process that has ended.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ProcessCase {
    pub(super) case: String,
    pub(super) look: Look,
    #[serde(flatten)]
    pub(super) expected: Expected,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Look {
    /// Its exit code, and what it did against the protocol.
    End,
    /// Whether it ended of its own accord.
    EndedItself,
    /// Whether it waited for its polls to be answered before it ended.
    WaitsForPolls,
    /// Method, path and query of its first call of an operation.
    Call(String),
    /// The headers of that call.
    Headers(String),
    /// Every kind of ping.
    Pings,
    /// Every kind of ping that names a job.
    PingsAboutJobs,
    /// How many jobs it was given.
    JobsTaken,
}

/// What is expected of both workers, or of each, and then why they differ.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Expected {
    both: Option<Value>,
    python: Option<Value>,
    ours: Option<Value>,
    pub(crate) why: Option<String>,
}

impl Run {
    /// All that is compared, by name.
    pub(crate) fn cases(&self) -> impl Iterator<Item = (&str, &Expected)> {
        let jobs = self.jobs.iter().map(|job| (job.case.as_str(), &job.expected));
        let process = self
            .process
            .iter()
            .map(|case| (case.case.as_str(), &case.expected));
        jobs.chain(process)
    }
}

impl Expected {
    pub(crate) fn of(&self, side: Side) -> Value {
        let own = match side {
            Side::Python => &self.python,
            Side::Ours => &self.ours,
        };
        own.clone().or_else(|| self.both.clone()).unwrap_or_default()
    }
}

/// The workers' table.
pub(crate) fn workers() -> anyhow::Result<Vec<Run>> {
    serde_json::from_str(include_str!("../../workers.json"))
        .context("the table of workers (xtask/crates/conformance/workers.json) cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_differ_only_where_the_table_says_why() {
        for run in workers().unwrap() {
            for (case, expected) in run.cases() {
                let Expected {
                    both,
                    python,
                    ours,
                    why,
                } = expected;
                let same = both.is_some() && python.is_none() && ours.is_none() && why.is_none();
                let differ = both.is_none() && python.is_some() && ours.is_some() && why.is_some();
                assert!(same || differ, "{}: {case}", run.name);
            }
        }
    }
}
