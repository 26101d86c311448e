//! A bucket's options, and the ways to a bucket: from the job, the environment, or the program.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runpod_protocol::variable;
use runpod_worker::Job;
use runpod_worker::job::keep_code_of;
use runpod_worker::settings::Environment;
use secrecy::SecretString;
use tracing::warn;
use url::Host;

use super::bucket::{Bucket, StorageBackend};
use super::config::BucketConfig;
use super::directory::DirectoryStorage;
use super::endpoint::Endpoint;
use super::error::UploadError;
use super::jobs_host::JobsHost;
use super::origin::Origin;
use super::region::{StoreAccess, Stores};
use super::s3::S3Bucket;
use super::transport::Transport;
use super::{bucket_name, key};
use crate::storage::egress::{CheckedResolver, EgressPolicy, NameLookup, Proxies, SystemLookup};
use crate::storage::http_client;
use crate::storage::retry::RetryPolicy;

/// The time for one request. A part of 8 MiB in that time is 0.22 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(5);
/// The most bytes of a prefix, so that every key that [`Bucket::key`] makes of a short name fits behind it.
const LONGEST_PREFIX: usize = 512;
/// The variable with the directory that stands in for storage where none is configured.
const LOCAL_UPLOADS: &str = "RUNPOD_WORKER_LOCAL_UPLOADS";

/// Options of a [`Bucket`] that the worker's program names itself.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct BucketBuilder {
    config: BucketConfig,
    path_style: Option<bool>,
    request_timeout: Option<Duration>,
    retry: RetryPolicy,
}

impl Bucket {
    /// Storage that the worker's program names itself.
    ///
    /// ```
    /// use runpod_sdk::storage::Bucket;
    ///
    /// let secret = "from somewhere safe".to_owned();
    /// let bucket = Bucket::explicit("https://s3.eu-west-1.amazonaws.com", "AKIAEXAMPLE", secret)
    ///     .bucket("pictures")
    ///     .build()?;
    /// # Ok::<_, runpod_sdk::storage::UploadError>(())
    /// ```
    pub fn explicit(
        endpoint: &str,
        access_id: &str,
        access_secret: impl Into<SecretString>,
    ) -> BucketBuilder {
        BucketBuilder::explicit(endpoint, access_id, access_secret.into())
    }

    /// The storage that the environment names. `None` if it names none.
    pub fn from_env() -> Result<Option<Self>, UploadError> {
        keep_code_of::<UploadError>();
        let config = BucketConfig::from_lookup(variable::from_environment)?;
        config
            .map(|config| BucketBuilder::new(config).build())
            .transpose()
    }

    /// The storage that the job's `s3Config` names. `None` if the job has none.
    pub fn from_job(job: &Job) -> Result<Option<Self>, UploadError> {
        keep_code_of::<UploadError>();
        let config = BucketConfig::from_job(job)?;
        config
            .map(|config| BucketBuilder::new(config).build())
            .transpose()
    }

    /// The storage for what this job makes: see [which storage](Self#which-storage).
    ///
    /// # Errors
    ///
    /// [`UploadError::Missing`] if none is configured; [`UploadError::Config`] if it is configured wrongly. What only a
    /// look-up of the endpoint's host shows is found by [`check_host`](Self::check_host).
    pub fn for_job(job: &Job) -> Result<Self, UploadError> {
        #[cfg(feature = "testing")]
        if let Some(injected) = job.injected() {
            return Ok(injected);
        }
        Self::for_job_with(job, variable::from_environment)
    }

    pub(super) fn for_job_with(
        job: &Job,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, UploadError> {
        keep_code_of::<UploadError>();
        let config = match BucketConfig::from_job(job)? {
            Some(config) => Some(config),
            None => BucketConfig::from_lookup(&lookup)?,
        };
        if let Some(config) = config {
            return BucketBuilder::new(config).build_with(lookup, Arc::new(SystemLookup));
        }
        let directory = Environment::read(&lookup).0.local_uploads;
        let directory = directory.ok_or(UploadError::Missing)?;
        warn!(
            directory = %directory.display(),
            "no storage is configured; uploads are copied to {LOCAL_UPLOADS}"
        );
        Ok(Self::directory(directory))
    }

    /// A directory that stands in for storage: objects become files below it, and links are their paths.
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        let directory = DirectoryStorage::new(directory.into());
        Self::new(StorageBackend::Directory(directory), "")
    }
}

impl BucketBuilder {
    pub(super) fn new(config: BucketConfig) -> Self {
        Self {
            config,
            path_style: None,
            request_timeout: None,
            retry: RetryPolicy::default(),
        }
    }

    fn explicit(endpoint: &str, access_id: &str, access_secret: SecretString) -> Self {
        Self::new(BucketConfig {
            origin: Origin::Program,
            endpoint: endpoint.to_owned(),
            access_id: access_id.to_owned(),
            access_secret,
            session_token: None,
            bucket: None,
            region: None,
            prefix: None,
        })
    }

    /// Sets the bucket's name. By default it is the one that the endpoint's URL names, else the current month as
    /// `MM-YY`, which is what Python's SDK uses.
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.config.bucket = Some(name.into());
        self
    }

    /// Sets the region. By default it is the one in the endpoint's URL, else `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.config.region = Some(region.into());
        self
    }

    /// Sets the prefix of every key, which a slash separates from it. Default none.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.config.prefix = Some(prefix.into());
        self
    }

    /// Sets whether requests name the bucket in the path (`https://host/bucket/key`) rather than in the host.
    ///
    /// By default they name it in the host for AWS, and where the endpoint's URL does so, else in the path. Set it for
    /// storage that supports only the other form.
    pub fn path_style(mut self, path_style: bool) -> Self {
        self.path_style = Some(path_style);
        self
    }

    /// Sets the time for one request: for an object of less than 8 MiB, or for one part of a larger one. Default 5
    /// minutes, or `RUNPOD_WORKER_UPLOAD_TIMEOUT`.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = Some(limit);
        self
    }

    /// Makes the tries of a request follow each other at once, for tests.
    #[cfg(test)]
    pub(super) fn without_pauses(mut self) -> Self {
        self.retry.first_pause = Duration::from_millis(1);
        self
    }

    /// Sets the number of tries, for tests.
    #[cfg(test)]
    pub(super) fn attempts(mut self, attempts: u32) -> Self {
        self.retry.attempts = attempts;
        self
    }

    /// Makes the bucket. It sends no request.
    ///
    /// # Errors
    ///
    /// [`UploadError::Config`]: the endpoint, bucket or prefix cannot be used, or a variable cannot be read.
    pub fn build(self) -> Result<Bucket, UploadError> {
        self.build_with(variable::from_environment, Arc::new(SystemLookup))
    }

    pub(super) fn build_with(
        self,
        lookup: impl Fn(&str) -> Option<String>,
        names: Arc<dyn NameLookup>,
    ) -> Result<Bucket, UploadError> {
        keep_code_of::<UploadError>();
        let origin = self.config.origin;
        let wrong = |problem: String| UploadError::Config { origin, problem };
        let endpoint = Endpoint::parse(&self.config.endpoint)
            .map_err(|problem| wrong(format!("{}: {problem}", origin.endpoint())))?
            .naming(self.config.bucket.as_deref());
        // A caller must not reach more through this worker than without it.
        let egress = match origin {
            Origin::Job => EgressPolicy::from_lookup(&lookup),
            Origin::Environment | Origin::AwsEnvironment | Origin::Program => EgressPolicy::Any,
        };
        check_endpoint(&endpoint, &egress, &Proxies::from_lookup(&lookup)).map_err(wrong)?;
        self.config.check_text().map_err(wrong)?;
        let bucket = bucket_name::of(self.config.bucket.clone(), &endpoint).map_err(wrong)?;
        let prefix = key_prefix(self.config.prefix.as_deref())
            .map_err(|problem| wrong(format!("{}: {problem}", origin.prefix())))?;
        let variable = request_timeout_variable(lookup).map_err(wrong)?;
        let request_timeout = self.request_timeout.or(variable).unwrap_or(REQUEST_TIMEOUT);
        // The certificates of wildcard hosts do not cover a bucket with a dot.
        let in_host = match self.path_style {
            Some(path_style) => !path_style,
            None => endpoint.bucket_in_host && !bucket.contains('.'),
        };
        let url = endpoint.of_bucket(&bucket, in_host).map_err(wrong)?;
        let jobs_host = match origin {
            Origin::Job => JobsHost::of(&url, &egress, names.clone(), self.retry),
            Origin::Environment | Origin::AwsEnvironment | Origin::Program => None,
        };
        let transport = Transport {
            client: client(egress, names, request_timeout).map_err(wrong)?,
            retry: self.retry,
        };
        let access = StoreAccess {
            endpoint,
            bucket: bucket.clone(),
            in_host,
            access_id: self.config.access_id,
            access_secret: self.config.access_secret,
            session_token: self.config.session_token,
            transport,
        };
        let s3 = S3Bucket {
            stores: Stores::new(access, self.config.region).map_err(wrong)?,
            bucket,
            jobs_host,
            origin,
            request_timeout,
        };
        Ok(Bucket::new(StorageBackend::S3(Box::new(s3)), &prefix))
    }
}

/// Checks the endpoint's URL itself. The addresses of a name are checked where it is looked up.
fn check_endpoint(endpoint: &Endpoint, egress: &EgressPolicy, proxies: &Proxies) -> Result<(), String> {
    let literal = match endpoint.base.host() {
        Some(Host::Ipv4(address)) => egress.check(address.into()),
        Some(Host::Ipv6(address)) => egress.check(address.into()),
        _ => Ok(()),
    };
    literal.map_err(|address| format!("the endpoint's URL: {address}"))?;
    if *egress != EgressPolicy::Any && proxies.apply_to(&endpoint.base) {
        return Err(
            "this worker has a proxy configured, and behind that a job's endpoint cannot be checked".into(),
        );
    }
    Ok(())
}

/// The prefix with a slash at its end; empty if there is none. The error is the problem in words.
fn key_prefix(given: Option<&str>) -> Result<String, String> {
    match given.map(|prefix| prefix.trim_matches('/')) {
        None | Some("") => Ok(String::new()),
        Some(prefix) if prefix.len() > LONGEST_PREFIX => {
            Err(format!("it is longer than {LONGEST_PREFIX} bytes"))
        }
        Some(prefix) => {
            key::parse(prefix).map_err(|problem| problem.to_string())?;
            Ok(format!("{prefix}/"))
        }
    }
}

/// `RUNPOD_WORKER_UPLOAD_TIMEOUT`, if it is set. The error is the problem in words.
fn request_timeout_variable(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Duration>, String> {
    let (environment, problems) = Environment::read(lookup);
    let problem = problems
        .iter()
        .find(|problem| problem.variable == "RUNPOD_WORKER_UPLOAD_TIMEOUT");
    match problem {
        None => Ok(environment.upload_timeout),
        Some(problem) => Err(problem.to_string()),
    }
}

fn client(
    egress: EgressPolicy,
    names: Arc<dyn NameLookup>,
    request_timeout: Duration,
) -> Result<reqwest::Client, String> {
    let mut client = http_client::builder().timeout(request_timeout);
    if egress != EgressPolicy::Any {
        let checked = CheckedResolver {
            names,
            policy: egress,
        };
        client = client.no_proxy().dns_resolver(Arc::new(checked));
    }
    client
        .build()
        .map_err(|error| format!("no HTTPS client: {}", http_client::NoClient::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_endpoint_behind_a_proxy_is_refused_and_the_workers_own_is_not() {
        let endpoint = Endpoint::parse("https://s3.eu-west-1.amazonaws.com").unwrap();
        let proxies =
            Proxies::from_lookup(|name| (name == "HTTPS_PROXY").then(|| "http://p.example".to_owned()));
        assert!(
            check_endpoint(&endpoint, &EgressPolicy::PublicOnly, &proxies)
                .unwrap_err()
                .contains("proxy")
        );
        assert_eq!(check_endpoint(&endpoint, &EgressPolicy::Any, &proxies), Ok(()));
    }

    #[test]
    fn the_time_for_a_request_comes_from_the_program_or_else_from_its_variable() {
        let bucket = |variable: Option<&'static str>, timeout: Option<Duration>| {
            let mut builder =
                BucketBuilder::explicit("http://127.0.0.1:9", "id", "secret".into()).bucket("pics");
            if let Some(timeout) = timeout {
                builder = builder.request_timeout(timeout);
            }
            let lookup = |name: &str| {
                let value = variable.filter(|_| name == "RUNPOD_WORKER_UPLOAD_TIMEOUT");
                value.map(str::to_owned)
            };
            builder.build_with(lookup, Arc::new(SystemLookup))
        };
        let limits = |bucket: &Bucket| match &*bucket.backend {
            StorageBackend::S3(s3) => (s3.request_timeout.as_secs(), bucket.parallel.get()),
            StorageBackend::Directory(_) => unreachable!("it is none"),
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(limits(&bucket(None, None).unwrap()), (300, 4));
        assert_eq!(limits(&bucket(Some("7s"), None).unwrap()), (7, 4));
        assert_eq!(limits(&bucket(Some("7s"), second).unwrap()), (1, 4));
        let problem = bucket(Some("none"), None).unwrap_err().to_string();
        assert!(problem.contains("RUNPOD_WORKER_UPLOAD_TIMEOUT=none"), "{problem}");
    }
}
