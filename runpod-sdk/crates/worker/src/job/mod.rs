//! A job: what arrives from the platform, what goes back, and the errors between.

mod codes;
mod error;
mod fields;
#[cfg(any(test, feature = "testing"))]
mod injected;
mod invalid;
mod outcome;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::json::{DecodeError, RawJson};
use crate::redact::{Hidden, hide_secret};

pub use runpod_protocol::JobId;

pub use codes::KnownCode;
pub use error::{ErrorClass, ErrorCode, IntoJobError, JobError, JobResult, keep_code_of};
pub(crate) use error::{WorkerIdentity, panic_error, panic_message};
#[cfg(any(test, feature = "testing"))]
pub(crate) use injected::Injected;
pub use invalid::InputProblem;
pub(crate) use outcome::{JobReport, Outcome};

/// A job as the platform sent it (`docs/protocol/worker-protocol.md` §5).
///
/// The whole object is kept as bytes, and `input` is a slice of them. Values are decoded on request. Keys that this
/// crate does not know are kept.
#[derive(Debug, Clone)]
pub struct Job {
    id: JobId,
    whole: RawJson,
    input: RawJson,
    batch_id: Option<String>,
    execution_timeout: Option<Duration>,
    /// Whether the platform sent no `input`, which a single job must have.
    lacks_input: bool,
    /// What a test gives in place of what the environment configures.
    #[cfg(any(test, feature = "testing"))]
    injected: Injected,
    /// Masks the secret of `s3Config` in the log while the job or a clone of it exists.
    _hidden: Option<Arc<Hidden>>,
}

impl Job {
    /// Reads one job object. `whole` must hold a JSON object with a string `id`; a missing `input`
    /// counts as `null` where `input_optional` says so (elements of a batch).
    pub(crate) fn read(whole: Bytes, input_optional: bool) -> Result<Self, MalformedJob> {
        let fields = fields::read(&whole)?;
        let id = fields.id.ok_or(MalformedJob::Missing)?;
        if !has_a_place_in_urls(&id) {
            return Err(MalformedJob::BadId);
        }
        let input = match fields.input {
            Some(raw) => RawJson::trusted(whole.slice_ref(raw.as_bytes())),
            None if input_optional => RawJson::null(),
            None => {
                return Err(MalformedJob::MissingInput {
                    id: JobId::from(id.as_str()),
                });
            }
        };
        Ok(Self {
            id: JobId::from(id.as_str()),
            input,
            batch_id: fields.batch_id,
            execution_timeout: fields.execution_timeout,
            lacks_input: false,
            #[cfg(any(test, feature = "testing"))]
            injected: Injected::default(),
            _hidden: fields.secret.map(|secret| Arc::new(hide_secret(&secret))),
            whole: RawJson::trusted(whole),
        })
    }

    /// Reads a whole job object: `{"id": "…", "input": …}` with any other keys of the platform. For tests.
    ///
    /// # Errors
    ///
    /// The text is not a JSON object, or `id` or `input` is missing.
    pub fn from_json(whole: impl Into<Bytes>) -> Result<Self, MalformedJob> {
        Self::read(whole.into(), false)
    }

    /// A job made by hand, for tests and local runs.
    pub fn new(id: &str, input: impl Into<RawJson>) -> Self {
        let input = input.into();
        let id = JobId::from(id);
        let mut whole = b"{\"id\":".to_vec();
        whole.extend(serde_json::to_vec(id.as_str()).unwrap_or_default());
        whole.extend(b",\"input\":");
        whole.extend(input.as_bytes());
        whole.push(b'}');
        let whole = Bytes::from(whole);
        let input = RawJson::trusted(whole.slice(whole.len() - 1 - input.len()..whole.len() - 1));
        Self {
            id,
            whole: RawJson::trusted(whole),
            input,
            batch_id: None,
            execution_timeout: None,
            lacks_input: false,
            #[cfg(any(test, feature = "testing"))]
            injected: Injected::default(),
            _hidden: None,
        }
    }

    /// A job that came without an `input`. It is not run, but answered with [`refusal`](Self::refusal).
    pub(crate) fn without_input(id: &JobId) -> Self {
        Self {
            lacks_input: true,
            ..Self::new(id.as_str(), RawJson::null())
        }
    }

    /// The error of a job that cannot be run; `None` for one that can.
    pub(crate) fn refusal(&self) -> Option<JobError> {
        self.lacks_input
            .then(|| JobError::invalid_input("the job has no `input`").with_hint("send {\"input\": …}"))
    }

    /// The job's id.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// What the client sent as `input`; `null` if it sent none.
    pub fn input(&self) -> &RawJson {
        &self.input
    }

    /// The whole job object, with every key.
    pub fn raw(&self) -> &RawJson {
        &self.whole
    }

    /// One of the job's other keys, decoded: `webhook`, `s3Config`, `policy` or any other key beside the input. `None`
    /// if it is missing.
    pub fn get<T: DeserializeOwned + 'static>(&self, key: &str) -> Result<Option<T>, DecodeError> {
        match fields::get(self.whole.as_bytes(), key) {
            Some(raw) => RawJson::trusted(Bytes::copy_from_slice(raw.as_bytes()))
                .decode()
                .map(Some),
            None => Ok(None),
        }
    }

    /// A text that the client put into the input under this key; `None` if there is none.
    #[cfg(feature = "otlp")]
    pub(crate) fn text_in_input(&self, key: &str) -> Option<String> {
        let raw = fields::get(self.input.as_bytes(), key)?;
        serde_json::from_str(raw).ok()
    }

    /// Id of the batch that the job belongs to, if any.
    pub fn batch_id(&self) -> Option<&str> {
        self.batch_id.as_deref()
    }

    /// How long the job may run, from `policy.executionTimeout`. `None` if the job does not say; the platform's own
    /// limit (600 s unless the endpoint sets another) still holds.
    pub fn execution_timeout(&self) -> Option<Duration> {
        self.execution_timeout
    }
}

/// The most bytes of a job's id. The platform's own have about 40; the ids of all active jobs stand in one URL.
const LONGEST_ID: usize = 512;

/// Whether a URL can have the id as a part of its path, once it is encoded. `.` and `..` cannot be encoded.
fn has_a_place_in_urls(id: &str) -> bool {
    !matches!(id, "" | "." | "..") && id.len() <= LONGEST_ID
}

/// An object that is not a job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedJob {
    /// There is no `id`, or it is not text.
    #[error("job has missing field(s): id or input")]
    Missing,
    /// The `id` is empty, `.` or `..`, or longer than 512 bytes, so that no result could be sent for it.
    #[error("the job's id is empty, `.` or `..`, or longer than 512 bytes")]
    BadId,
    /// There is no `input`.
    #[error("job {id} has missing field(s): id or input")]
    MissingInput {
        /// The job's id.
        id: JobId,
    },
    /// The text is not a JSON object.
    #[error("job is not an object as expected: {0}")]
    NotAJob(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::redacted;

    #[test]
    fn the_secret_of_a_jobs_storage_is_kept_out_of_the_log_while_the_job_is_here() {
        let whole = r#"{"id":"a","input":1,"s3Config":{"accessId":"x","accessSecret":"of-this-job-only"}}"#;
        let job = Job::read(whole.into(), false).unwrap();
        let copy = job.clone();
        drop(job);
        assert_eq!(redacted("key of-this-job-only"), "key [secret]");
        drop(copy);
        assert_eq!(redacted("key of-this-job-only"), "key of-this-job-only");
    }

    #[test]
    fn an_id_that_no_url_can_have_is_refused_and_any_other_is_taken() {
        let read = |id: &str| {
            let whole = serde_json::json!({ "id": id, "input": 1 }).to_string();
            Job::read(whole.into(), false)
        };
        for id in ["", ".", "..", &"x".repeat(513)] {
            assert!(matches!(read(id), Err(MalformedJob::BadId)), "{id}");
        }
        for id in ["...", "../..", "a/b", "a\nb", "\u{1b}[31m", &"x".repeat(512)] {
            assert_eq!(read(id).unwrap().id().as_str(), id);
        }
    }

    #[test]
    fn an_odd_storage_is_no_reason_to_refuse_a_job() {
        for config in ["null", "[]", "{}", r#"{"accessSecret":5}"#] {
            let whole = format!(r#"{{"id":"a","input":1,"s3Config":{config}}}"#);
            Job::read(whole.into(), false).unwrap();
        }
    }
}
