//! All that is known of one job, in the order in which it happened.

use std::cell::OnceCell;
use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobId, JobStatus};
use serde::Serialize;
use serde_json::Value;

/// Most entries of one job; of a job that has more, progress and log lines are dropped.
const MOST_ITEMS: usize = 5000;
/// Inputs up to this many bytes are searched for words that name the job in a list.
const LABELLED: usize = 256 * 1024;
/// Characters of such words.
const LABEL: usize = 120;

/// Something that happened to a job. Payloads are JSON as received.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Submitted {
        input: Bytes,
        webhook: Option<String>,
        policy: Option<Bytes>,
    },
    Taken {
        worker: String,
    },
    /// A fault handed it out once more.
    TakenAgain {
        worker: String,
    },
    Returned,
    Progress(Bytes),
    Chunk(Bytes),
    WorkerLost,
    Retried,
    Ended {
        status: JobStatus,
        output: Option<Bytes>,
        error: Option<Bytes>,
    },
    Log {
        worker: String,
        level: String,
        message: String,
    },
    /// Points that the job passed in its worker, in milliseconds since `at`.
    Points(Vec<(String, f64)>),
    Violation(String),
}

impl What {
    fn bytes(&self) -> usize {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        match self {
            Self::Submitted { input, policy, .. } => input.len() + length(policy),
            Self::Progress(json) | Self::Chunk(json) => json.len(),
            Self::Ended { output, error, .. } => length(output) + length(error),
            Self::Log { message, .. } | Self::Violation(message) => message.len(),
            _ => 0,
        }
    }

    /// Whether the job's history can do without it.
    fn is_minor(&self) -> bool {
        matches!(self, Self::Progress(_) | Self::Log { .. })
    }
}

/// A job and its history.
#[derive(Debug)]
pub(crate) struct JobRecord {
    pub(crate) id: JobId,
    /// Its place in the order of submission.
    number: u64,
    pub(crate) status: JobStatus,
    pub(crate) submitted: Duration,
    taken: Option<Duration>,
    ended: Option<Duration>,
    worker: Option<String>,
    /// Times a worker took it.
    runs: u32,
    pub(crate) items: Vec<Item>,
    pub(super) bytes: usize,
    progress: Option<Bytes>,
    error: Option<Bytes>,
    label: OnceCell<String>,
    violations: u32,
}

/// A job's line in the list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    id: String,
    number: u64,
    status: String,
    /// Times are milliseconds of the platform's clock.
    submitted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    runs: u32,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    violations: u32,
}

impl JobRecord {
    pub(super) fn new(id: JobId, number: u64, at: Duration) -> Self {
        Self {
            id,
            number,
            status: JobStatus::InQueue,
            submitted: at,
            taken: None,
            ended: None,
            worker: None,
            runs: 0,
            items: Vec::new(),
            bytes: 0,
            progress: None,
            error: None,
            label: OnceCell::new(),
            violations: 0,
        }
    }

    pub(crate) fn worker(&self) -> Option<&str> {
        self.worker.as_deref()
    }

    /// Whether a worker has it now.
    pub(crate) fn runs_on(&self, worker: &str) -> bool {
        self.status == JobStatus::InProgress && self.worker() == Some(worker)
    }

    /// Adds what happened, and lets the job's state follow.
    pub(super) fn add(&mut self, at: Duration, what: What) {
        match &what {
            What::Taken { worker } => {
                self.status = JobStatus::InProgress;
                self.taken = Some(at);
                self.worker = Some(worker.clone());
                self.runs += 1;
                self.progress = None;
            }
            What::Returned | What::WorkerLost | What::Retried => {
                self.status = JobStatus::InQueue;
                (self.taken, self.ended, self.worker) = (None, None, None);
                (self.progress, self.error) = (None, None);
            }
            What::Progress(update) => self.progress = Some(update.clone()),
            What::Ended { status, error, .. } => {
                self.status = status.clone();
                self.ended = Some(at);
                self.error.clone_from(error);
            }
            What::Violation(_) => self.violations += 1,
            What::TakenAgain { .. }
            | What::Submitted { .. }
            | What::Chunk(_)
            | What::Log { .. }
            | What::Points(_) => {}
        }
        if self.items.len() < MOST_ITEMS || !what.is_minor() {
            self.bytes += what.bytes();
            self.items.push(Item { at, what });
        }
    }

    pub(crate) fn input(&self) -> Option<&Bytes> {
        self.items.iter().find_map(|item| match &item.what {
            What::Submitted { input, .. } => Some(input),
            _ => None,
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary {
            id: self.id.to_string(),
            number: self.number,
            status: self.status.to_string(),
            submitted: milliseconds(self.submitted),
            taken: self.taken.map(milliseconds),
            ended: self.ended.map(milliseconds),
            worker: self.worker.clone(),
            runs: self.runs,
            label: self
                .label
                .get_or_init(|| self.input().map(label).unwrap_or_default())
                .clone(),
            percent: self.progress.as_ref().and_then(percent),
            code: self.error.as_ref().and_then(code),
            violations: self.violations,
        }
    }
}

pub(crate) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Words of an input that a person knows the job by.
fn label(input: &Bytes) -> String {
    let value: Value = match input.len() {
        0..=LABELLED => serde_json::from_slice(input).unwrap_or_default(),
        _ => Value::Null,
    };
    words(&value).chars().take(LABEL).collect()
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let known = ["prompt", "text", "name", "message", "payload", "input", "query"];
            let found = known.iter().filter_map(|name| fields.get(*name)).map(words);
            let named = found.into_iter().find(|words| !words.is_empty());
            named.unwrap_or_else(|| {
                let first = fields.values().find_map(Value::as_str);
                first.unwrap_or_default().to_owned()
            })
        }
        Value::Null | Value::Array(_) => String::new(),
        other => other.to_string(),
    }
}

/// How far a job is, if its update says so in a usual way: `percent`, or `progress` from 0 to 1 or to 100, or a number.
fn percent(update: &Bytes) -> Option<f64> {
    let value: Value = serde_json::from_slice(update).ok()?;
    let field = |name| value.get(name).and_then(Value::as_f64);
    let percent = field("percent").or_else(|| {
        let progress = field("progress").or_else(|| value.as_f64())?;
        Some(if progress <= 1.0 {
            progress * 100.0
        } else {
            progress
        })
    })?;
    Some(percent.clamp(0.0, 100.0))
}

/// The code of a failed job, which our workers put into the error.
fn code(error: &Bytes) -> Option<String> {
    let text: String = serde_json::from_slice(error).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let code = value.get("code").or_else(|| value.get("error_type"))?;
    code.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(input: &'static str) -> String {
        label(&Bytes::from_static(input.as_bytes()))
    }

    #[test]
    fn a_job_is_known_by_its_prompt_or_by_its_first_words() {
        assert_eq!(labelled(r#"{"steps":3,"prompt":"a cat"}"#), "a cat");
        assert_eq!(
            labelled(r#"{"api":{"method":"POST"},"payload":{"prompt":"a dog"}}"#),
            "a dog"
        );
        assert_eq!(labelled(r#"{"n":3,"who":"World"}"#), "World");
        assert_eq!(labelled("12"), "12");
        assert_eq!(labelled(r#"{"a":[1]}"#), "");
        assert_eq!(
            label(&Bytes::from(format!("\"{}\"", "é".repeat(500))))
                .chars()
                .count(),
            LABEL
        );
    }

    #[test]
    fn progress_is_read_in_its_usual_forms() {
        let percent = |json: &'static str| percent(&Bytes::from_static(json.as_bytes()));
        assert_eq!(percent(r#"{"percent":48,"phase":"sampling"}"#), Some(48.0));
        assert_eq!(percent(r#"{"progress":0.25}"#), Some(25.0));
        assert_eq!(percent("70"), Some(70.0));
        assert_eq!(percent("700"), Some(100.0));
        assert_eq!(percent(r#""half way""#), None);
    }

    #[test]
    fn a_job_that_is_queued_again_forgets_its_last_run() {
        let mut job = JobRecord::new("j".into(), 1, Duration::ZERO);
        let worker = || "w".to_owned();
        job.add(Duration::from_secs(1), What::Taken { worker: worker() });
        job.add(Duration::from_secs(2), What::Progress("{\"percent\":50}".into()));
        assert!(job.runs_on("w"));
        job.add(Duration::from_secs(3), What::WorkerLost);
        let summary = job.summary();
        assert_eq!(
            (&*summary.status, summary.percent, summary.taken),
            ("IN_QUEUE", None, None)
        );
        assert_eq!((summary.runs, job.items.len()), (1, 3));
    }

    #[test]
    fn a_talkative_job_keeps_its_end() {
        let mut job = JobRecord::new("j".into(), 1, Duration::ZERO);
        for _ in 0..MOST_ITEMS + 10 {
            job.add(Duration::ZERO, What::Progress("1".into()));
        }
        let end = What::Ended {
            status: JobStatus::Completed,
            output: None,
            error: None,
        };
        job.add(Duration::ZERO, end);
        assert_eq!(job.items.len(), MOST_ITEMS + 1);
    }
}
