//! The client of one endpoint.

use std::sync::Arc;

use runpod_protocol::{JobId, route};
use serde::Serialize;

use crate::error::ClientError;
use crate::handle::JobHandle;
use crate::health::Health;
use crate::job_calls::JobCalls;
use crate::report::JobReport;
use crate::submission::Submission;
use crate::transport::{self, ApiCall, Transport};

/// A client of one endpoint. Clones share connections.
#[doc(alias = "Endpoint")]
#[derive(Clone, Debug)]
pub struct EndpointClient {
    pub(crate) transport: Arc<Transport>,
}

impl EndpointClient {
    /// The id of the endpoint; empty for [a server without ids](Self::at).
    pub fn endpoint_id(&self) -> &str {
        self.transport.endpoint_id.as_deref().unwrap_or_default()
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
        Submission::new(Arc::clone(&self.transport), input)
    }

    /// A handle to a job submitted earlier, by its id. Nothing is sent.
    pub fn handle(&self, job_id: impl Into<JobId>) -> JobHandle {
        JobHandle::new(JobCalls {
            transport: Arc::clone(&self.transport),
            id: job_id.into(),
        })
    }

    /// How many jobs and workers the endpoint has (§9).
    ///
    /// # Errors
    ///
    /// When the endpoint cannot be asked.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let call = ApiCall::get(&[route::HEALTH]);
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
        let answer = self.transport.send(ApiCall::post(&[route::PURGE_QUEUE])).await?;
        transport::parse(&answer).map(|purged: Purged| purged.removed)
    }
}
