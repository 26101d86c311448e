//! A job about to be submitted.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobId, JobRequest, Policy, S3Config, route};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::ClientError;
use crate::handle::JobHandle;
use crate::job_calls::JobCalls;
use crate::report::JobReport;
use crate::transport::{ApiCall, Transport};
use crate::wait;

/// A job about to be submitted (§3). Its `Debug` shows no input and no credentials.
#[must_use]
pub struct Submission {
    transport: Arc<Transport>,
    input: Box<RawValue>,
    webhook: Option<String>,
    policy: Policy,
    s3_config: Option<S3Config>,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("endpoint", &self.transport.endpoint_id)
            .field("webhook", &self.webhook)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Submission {
    pub(crate) fn new(
        transport: Arc<Transport>,
        input: &(impl Serialize + ?Sized),
    ) -> Result<Self, ClientError> {
        Ok(Self {
            transport,
            input: to_raw_value(input).map_err(ClientError::Input)?,
            webhook: None,
            policy: Policy::default(),
            s3_config: None,
        })
    }

    /// A URL the platform posts the finished job to (§8).
    pub fn webhook(mut self, url: impl Into<String>) -> Self {
        self.webhook = Some(url.into());
        self
    }

    /// How long a worker may hold the job. The platform takes 5 s to 7 days; its default is 10 min.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.policy.execution_timeout = Some(timeout);
        self
    }

    /// How long the job may live, queue and execution together. The platform takes 10 s to 7 days; its default is a day.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.policy.ttl = Some(ttl);
        self
    }

    /// Whether the job may wait rather than have a worker started for it. Default no.
    pub fn low_priority(mut self, on: bool) -> Self {
        self.policy.low_priority = on;
        self
    }

    /// Where the worker is to upload to.
    pub fn s3_config(mut self, config: S3Config) -> Self {
        self.s3_config = Some(config);
        self
    }

    /// Queues the job and returns at once. See [`EndpointClient::run`](crate::EndpointClient::run).
    ///
    /// # Errors
    ///
    /// As [`EndpointClient::run`](crate::EndpointClient::run).
    pub async fn run(self) -> Result<JobHandle, ClientError> {
        let call = ApiCall::once(&[route::RUN], Some(self.body()?));
        let answer = self.transport.send(call).await?;
        let id = JobReport::parse_new(&answer)?.id;
        Ok(JobHandle::new(self.calls(id)))
    }

    /// Submits the job and waits until it is final. See [`EndpointClient::run_sync`](crate::EndpointClient::run_sync).
    ///
    /// # Errors
    ///
    /// As [`EndpointClient::run_sync`](crate::EndpointClient::run_sync).
    pub async fn run_sync(self) -> Result<JobReport, ClientError> {
        let wait = self.transport.timeouts.poll;
        let call = ApiCall::once(&[route::RUN_SYNC], Some(self.body()?)).wait(wait);
        let answer = self.transport.send(call).await?;
        let report = JobReport::parse_new(&answer)?;
        if report.status.is_final() {
            return Ok(report);
        }
        wait::until_final(&self.calls(report.id)).await
    }

    fn calls(self, id: JobId) -> JobCalls {
        JobCalls {
            transport: self.transport,
            id,
        }
    }

    fn body(&self) -> Result<Bytes, ClientError> {
        let write = || {
            let policy = (!self.policy.is_default())
                .then(|| to_raw_value(&self.policy))
                .transpose()?;
            let s3_config = self.s3_config.as_ref().map(to_raw_value).transpose()?;
            serde_json::to_vec(&JobRequest {
                input: Some(&self.input),
                webhook: self.webhook.as_deref().map(Cow::Borrowed),
                policy: policy.as_deref(),
                s3_config: s3_config.as_deref(),
            })
        };
        write().map(Bytes::from).map_err(ClientError::Input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EndpointClient;

    fn submission(input: &impl Serialize) -> Submission {
        let client = EndpointClient::builder("ep")
            .api_key("k")
            .base_url("http://127.0.0.1:1/v2")
            .build();
        client.unwrap().job(input).unwrap()
    }

    #[test]
    fn fields_that_were_not_set_are_not_sent() {
        assert_eq!(submission(&1).body().unwrap(), r#"{"input":1}"#);
    }

    #[test]
    fn every_field_has_the_name_and_unit_of_the_platform() {
        let bucket = S3Config::new("https://s3.example", "b", "id", "hidden").object_path("p");
        let submission = submission(&RawValue::from_string("{ \"x\":1.0}".to_owned()).unwrap())
            .webhook("https://example.com/done")
            .execution_timeout(Duration::from_secs(5))
            .ttl(Duration::from_secs(10))
            .low_priority(true)
            .s3_config(bucket);
        let shown = format!("{submission:?}");
        assert!(!shown.contains("hidden") && !shown.contains("\"x\""), "{shown}");
        assert_eq!(
            submission.body().unwrap(),
            concat!(
                r#"{"input":{ "x":1.0},"webhook":"https://example.com/done","#,
                r#""policy":{"executionTimeout":5000,"ttl":10000,"lowPriority":true},"#,
                r#""s3Config":{"accessId":"id","accessSecret":"hidden","bucketName":"b","#,
                r#""endpointUrl":"https://s3.example","objectPath":"p"}}"#,
            )
        );
    }
}
