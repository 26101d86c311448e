//! One submission and what can be asked for it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::EndpointClient;
use super::error::ClientError;
use super::handle::JobHandle;
use super::report::JobReport;
use super::transport::Call;
use super::wait;

/// The longest a request may be held (§5).
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// A job about to be submitted (§3). Its `Debug` shows no input and no credentials.
#[must_use]
pub struct Submission {
    client: EndpointClient,
    request: Request,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("endpoint", &self.client.transport.endpoint_id)
            .field("webhook", &self.request.webhook)
            .field("policy", &self.request.policy)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    input: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<String>,
    #[serde(skip_serializing_if = "Policy::is_default")]
    policy: Policy,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_config: Option<S3Config>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "milliseconds")]
    execution_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "milliseconds")]
    ttl: Option<Duration>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    low_priority: bool,
}

impl Policy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn milliseconds<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
        .serialize(serializer)
}

/// Where a worker is to upload to; RunPod passes it on and does nothing with it (§3).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct S3Config {
    access_id: String,
    #[serde(serialize_with = "exposed")]
    access_secret: SecretString,
    bucket_name: String,
    endpoint_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_path: Option<String>,
}

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    secret.expose_secret().serialize(serializer)
}

impl S3Config {
    /// A bucket and the keys to it. The secret is never shown or logged.
    pub fn new(
        endpoint_url: impl Into<String>,
        bucket_name: impl Into<String>,
        access_id: impl Into<String>,
        access_secret: impl Into<String>,
    ) -> Self {
        Self {
            access_id: access_id.into(),
            access_secret: SecretString::from(access_secret.into()),
            bucket_name: bucket_name.into(),
            endpoint_url: endpoint_url.into(),
            object_path: None,
        }
    }

    /// A path inside the bucket.
    pub fn object_path(mut self, path: impl Into<String>) -> Self {
        self.object_path = Some(path.into());
        self
    }
}

impl Submission {
    pub(crate) fn new(
        client: EndpointClient,
        input: &(impl Serialize + ?Sized),
    ) -> Result<Self, ClientError> {
        let input = to_raw_value(input).map_err(ClientError::Input)?;
        let request = Request {
            input,
            webhook: None,
            policy: Policy::default(),
            s3_config: None,
        };
        Ok(Self { client, request })
    }

    /// A URL the platform posts the finished job to (§8).
    pub fn webhook(mut self, url: impl Into<String>) -> Self {
        self.request.webhook = Some(url.into());
        self
    }

    /// How long a worker may hold the job. The platform takes 5 s to 7 days; its default is 10 min.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.request.policy.execution_timeout = Some(timeout);
        self
    }

    /// How long the job may live, queue and execution together. The platform takes 10 s to 7 days; its default is a day.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.request.policy.ttl = Some(ttl);
        self
    }

    /// Whether the job may wait rather than have a worker started for it. Default no.
    pub fn low_priority(mut self, on: bool) -> Self {
        self.request.policy.low_priority = on;
        self
    }

    /// Where the worker is to upload to.
    pub fn s3_config(mut self, config: S3Config) -> Self {
        self.request.s3_config = Some(config);
        self
    }

    /// Queues the job and returns at once. See [`EndpointClient::run`].
    ///
    /// # Errors
    ///
    /// As [`EndpointClient::run`].
    pub async fn run(self) -> Result<JobHandle, ClientError> {
        let answer = self
            .client
            .transport
            .send(Call::once(&["run"], Some(self.body()?)))
            .await?;
        let report = JobReport::parse_new(&answer)?;
        Ok(JobHandle::new(self.client, report.id))
    }

    /// Submits the job and waits until it is final. See [`EndpointClient::run_sync`].
    ///
    /// # Errors
    ///
    /// As [`EndpointClient::run_sync`].
    pub async fn run_sync(self) -> Result<JobReport, ClientError> {
        let wait = self.client.transport.waits.poll.min(LONGEST_WAIT);
        let call = Call::once(&["runsync"], Some(self.body()?)).wait(wait);
        let answer = self.client.transport.send(call).await?;
        let report = JobReport::parse_new(&answer)?;
        if report.status.is_final() {
            return Ok(report);
        }
        wait::until_final(&JobHandle::new(self.client, report.id)).await
    }

    fn body(&self) -> Result<Bytes, ClientError> {
        serde_json::to_vec(&self.request)
            .map(Bytes::from)
            .map_err(ClientError::Input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
