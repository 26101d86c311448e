//! What can go wrong between a caller and its job.

use reqwest::StatusCode;

use super::failure::JobFailure;

/// Why a call to the endpoint did not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client cannot be built from what it was given.
    #[error("client settings: {0}")]
    Config(String),
    /// The input does not serialise. Nothing was sent.
    #[error("the input cannot be written as JSON")]
    Input(#[source] serde_json::Error),
    /// 401: the API key is missing or wrong.
    #[error("the endpoint refused the API key; check RUNPOD_API_KEY")]
    Unauthorized,
    /// 404 for a job: it never existed, its time to live has run out, or its result is no longer kept (§5, §7).
    #[error("job {0} is unknown to the endpoint: it expired, or its result is no longer kept")]
    JobNotFound(String),
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
    Connect(#[source] reqwest::Error),
    /// The request was sent but its answer did not arrive whole. It may have been carried out.
    #[error("the endpoint's answer was lost; the request may have been carried out")]
    AnswerLost(#[source] reqwest::Error),
    /// The answer is not what the endpoint API promises.
    #[error("the endpoint's answer cannot be read; is this a RunPod endpoint?")]
    Answer(#[source] serde_json::Error),
    /// The job's output is not of the type asked for.
    #[error("the output does not fit the expected type: {0}")]
    Output(serde_path_to_error::Error<serde_json::Error>),
    /// The job completed without output.
    #[error("job {0} completed without output")]
    NoOutput(String),
    /// The job ended otherwise than `COMPLETED`.
    #[error(transparent)]
    Job(#[from] Box<JobFailure>),
}
