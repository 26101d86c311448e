//! A typed client of one RunPod Serverless endpoint.
//!
//! Submit jobs, wait for them by long polls, follow their progress, read their streams:
//!
//! ```no_run
//! use runpod_sdk::client::EndpointClient;
//!
//! #[derive(serde::Serialize)]
//! struct Prompt { prompt: String, steps: u32 }
//! #[derive(serde::Deserialize)]
//! struct Picture { images: Vec<String> }
//!
//! # async fn example() -> Result<(), runpod_sdk::client::ClientError> {
//! let client = EndpointClient::from_env("my-endpoint-id")?;
//! let job = client.run(&Prompt { prompt: "a cat".into(), steps: 25 }).await?;
//! let picture: Picture = job.output().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is sent again
//!
//! A request is repeated, with growing random pauses, only where that cannot do harm:
//!
//! | what happened | questions (`status`, `health`, …), `cancel`, `purge_queue` | `run`, `run_sync`, `retry` | `stream` |
//! |---|---|---|---|
//! | no connection could be opened | again | again | again |
//! | 429 | again, after `Retry-After` if given | again, likewise | again, likewise |
//! | 500, 502, 503, 504 | again | an error: it may have been accepted | again |
//! | the answer was lost on the way | again | an error: it may have been accepted | an error: chunks may be lost |
//! | other 4xx | an error | an error | an error |
//!
//! The protocol is described in `docs/protocol/endpoint-api.md`; section numbers in these docs refer to it.

mod builder;
mod error;
mod failure;
mod handle;
mod health;
mod report;
mod retry;
mod stream;
mod submission;
mod transport;
mod wait;

use std::sync::Arc;

use serde::Serialize;

pub use self::builder::{DEFAULT_BASE_URL, EndpointClientBuilder};
pub use self::error::ClientError;
pub use self::failure::JobFailure;
pub use self::handle::JobHandle;
pub use self::health::{Health, JobCounts, WorkerCounts};
pub use self::report::{JobReport, JobStatus};
pub use self::retry::RetryPolicy;
pub use self::submission::{S3Config, Submission};

use self::transport::{Call, Transport};

/// A client of one endpoint. Clones share connections.
#[derive(Clone, Debug)]
pub struct EndpointClient {
    transport: Arc<Transport>,
}

impl EndpointClient {
    /// A client set up by `RUNPOD_API_KEY` and, if it is set, `RUNPOD_ENDPOINT_BASE_URL`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Config`] if a variable is missing or unusable.
    pub fn from_env(endpoint_id: impl Into<String>) -> Result<Self, ClientError> {
        EndpointClientBuilder::from_lookup(endpoint_id, |name| std::env::var(name).ok()).build()
    }

    /// A client to be set up by hand.
    pub fn builder(endpoint_id: impl Into<String>) -> EndpointClientBuilder {
        EndpointClientBuilder::new(endpoint_id)
    }

    /// The id of the endpoint.
    pub fn endpoint_id(&self) -> &str {
        &self.transport.endpoint_id
    }

    /// Queues a job (`/run`, §3) and returns at once.
    ///
    /// Any `Serialize` will do as input; a [`RawValue`](serde_json::value::RawValue) is sent as it is.
    ///
    /// # Errors
    ///
    /// After [`ClientError::AnswerLost`] or a 5xx the job may have been accepted; whether to submit
    /// it again is for the caller to decide.
    pub async fn run(&self, input: &(impl Serialize + Sync + ?Sized)) -> Result<JobHandle, ClientError> {
        self.job(input)?.run().await
    }

    /// Submits a job and waits until it is final (`/runsync`, §5).
    ///
    /// Past the platform's longest wait it goes on with long polls. Results of such jobs are kept for
    /// a minute only, and if the connection breaks meanwhile the job's id is lost: for long jobs
    /// prefer [`run`](Self::run) and [`JobHandle::wait`].
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run). A job that failed is no error here; see [`JobReport::into_result`].
    pub async fn run_sync(&self, input: &(impl Serialize + Sync + ?Sized)) -> Result<JobReport, ClientError> {
        self.job(input)?.run_sync().await
    }

    /// A submission with a policy, a webhook or S3 credentials.
    ///
    /// # Errors
    ///
    /// [`ClientError::Input`] if the input does not serialise.
    pub fn job(&self, input: &(impl Serialize + ?Sized)) -> Result<Submission, ClientError> {
        Submission::new(self.clone(), input)
    }

    /// A handle to a job submitted earlier, by its id. Nothing is sent.
    pub fn handle(&self, job_id: impl Into<String>) -> JobHandle {
        JobHandle::new(self.clone(), job_id.into())
    }

    /// How many jobs and workers the endpoint has (§9).
    ///
    /// # Errors
    ///
    /// When the endpoint cannot be asked.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let call = Call::get(&["health"]);
        let answer = self.transport.send(call).await?;
        transport::parse(&answer)
    }

    /// Cancels every queued job and says how many there were (§7). Running jobs go on.
    ///
    /// # Errors
    ///
    /// When the endpoint cannot be asked. The platform takes two such calls in ten seconds.
    pub async fn purge_queue(&self) -> Result<u64, ClientError> {
        #[derive(serde::Deserialize)]
        struct Purged {
            #[serde(default)]
            removed: u64,
        }
        let answer = self.transport.send(Call::post(&["purge-queue"])).await?;
        transport::parse(&answer).map(|purged: Purged| purged.removed)
    }
}
