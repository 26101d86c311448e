//! The errors of the client.

use std::error::Error;

use http::StatusCode;
use runpod_protocol::JobId;

use crate::failure::JobFailure;

/// The cause of an error, of a type that may change.
type Cause = Box<dyn Error + Send + Sync>;

/// Why a call to the endpoint did not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client cannot be built from its settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The input does not serialise. Nothing was sent.
    #[error("the input cannot be written as JSON")]
    Input(#[source] serde_json::Error),
    /// 401: the API key is missing or wrong.
    #[error("the endpoint refused the API key; check RUNPOD_API_KEY")]
    Unauthorized,
    /// 404 for a job: it never existed, its time to live has run out, or its result is no longer kept (§5, §7).
    #[error("job {0} is unknown to the endpoint: it expired, or its result is no longer kept")]
    JobNotFound(JobId),
    /// 404 for the endpoint itself.
    #[error(
        "endpoint {0} does not exist under this base URL; check the endpoint id and RUNPOD_ENDPOINT_BASE_URL"
    )]
    EndpointNotFound(String),
    /// The body is larger than the endpoint takes: 10 MiB for `run`, 20 MiB for `run_sync` (§3).
    #[error(
        "the endpoint refuses a body of {bytes} bytes as too large: {text}; upload large inputs and send a URL"
    )]
    TooLarge {
        /// Size of the refused body.
        bytes: usize,
        /// The endpoint's words.
        text: String,
    },
    /// 429, even after waiting.
    #[error("the endpoint's rate limit is reached; send less, or wait longer")]
    RateLimited,
    /// Another status than 200. After a 5xx a submission may still have been accepted.
    #[error("the endpoint answered {status}: {text}")]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// The beginning of the answer's body.
        text: String,
    },
    /// No connection could be opened. Nothing was sent.
    #[error("no connection to the endpoint; check the base URL and the network")]
    Connect(#[source] Cause),
    /// The request was sent but its answer did not arrive whole. It may have been carried out.
    #[error("the endpoint's answer was lost; the request may have been carried out")]
    AnswerLost(#[source] Cause),
    /// The answer is not what the endpoint API promises.
    #[error("the endpoint's answer cannot be read; is this a RunPod endpoint?")]
    Answer(#[source] serde_json::Error),
    /// The job's output is not of the type asked for.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The job completed without output.
    #[error("job {0} completed without output")]
    NoOutput(JobId),
    /// The job ended otherwise than `COMPLETED`.
    #[error(transparent)]
    Job(#[from] Box<JobFailure>),
}

/// A setting that no client can be built from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No API key is set.
    #[error("client settings: no API key; set RUNPOD_API_KEY")]
    NoApiKey,
    /// The API key has characters that no header can carry.
    #[error("client settings: the API key has characters no header can carry; check RUNPOD_API_KEY")]
    ApiKey(#[source] http::header::InvalidHeaderValue),
    /// The endpoint id is empty or means another path.
    #[error("client settings: no endpoint id; it is part of the endpoint's URL")]
    NoEndpointId,
    /// The endpoint id is a URL, a path or something else that is no id.
    #[error("client settings: {given:?} is not an endpoint id; give the id alone{}", shown(.alone.as_deref()))]
    EndpointId {
        /// What was given.
        given: String,
        /// The id that is in it, if one can be told.
        alone: Option<String>,
    },
    /// The base URL cannot be used.
    #[error("client settings: base URL `{0}` is no http or https URL without a query")]
    BaseUrl(String),
    /// The HTTP client cannot be built.
    #[error("client settings: no HTTP client: {0}; are CA certificates installed?")]
    HttpClient(#[source] Cause),
}

fn shown(id: Option<&str>) -> String {
    id.map_or_else(String::new, |id| format!(": `{id}`"))
}

/// An output that does not fit the type asked for, and where it does not.
#[derive(Debug, thiserror::Error)]
#[error("the output does not fit the expected type: {at}")]
pub struct OutputError {
    /// The path of the field and what is wrong there.
    at: String,
    source: serde_json::Error,
}

impl From<serde_path_to_error::Error<serde_json::Error>> for OutputError {
    fn from(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        Self {
            at: error.to_string(),
            source: error.into_inner(),
        }
    }
}
