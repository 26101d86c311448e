//! The calls about one job.

use std::sync::Arc;

use runpod_protocol::{JobId, route};

use crate::error::ClientError;
use crate::report::JobReport;
use crate::transport::{ApiCall, Transport};

/// One job of one endpoint, and how to ask for it.
#[derive(Clone, Debug)]
pub(crate) struct JobCalls {
    pub(crate) transport: Arc<Transport>,
    pub(crate) id: JobId,
}

impl JobCalls {
    /// The job as it is now.
    pub(crate) async fn status(&self) -> Result<JobReport, ClientError> {
        self.send(ApiCall::get(&[route::STATUS, self.id.as_str()])).await
    }

    /// Sends a call that is answered with the job object.
    pub(crate) async fn send(&self, call: ApiCall<'_>) -> Result<JobReport, ClientError> {
        let answer = self.transport.send(call).await?;
        JobReport::parse(&answer, &self.id)
    }
}
