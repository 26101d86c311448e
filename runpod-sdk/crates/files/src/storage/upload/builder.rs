//! From settings to a bucket.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::RetryConfig;
use object_store::aws::AmazonS3Builder;
use secrecy::{ExposeSecret as _, SecretString};
use url::Host;

use super::endpoint::Endpoint;
use super::settings::{Origin, Settings};
use super::transport::Transport;
use super::{AT_ONCE, Bucket, Link, Place, S3, UploadError, key};
use crate::storage::reach::{self, CheckedLookup, Lookup, Proxies, Reach, SystemLookup};
use runpod_protocol::http::causes;
use runpod_worker::settings::Variables;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A part of 8 MiB in that time is 0.22 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(5);
const ATTEMPTS: u32 = 3;
const USER_AGENT: &str = concat!("runpod-sdk-rust/", env!("CARGO_PKG_VERSION"));

/// Options of a [`Bucket`] that the worker's program names itself.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct BucketBuilder {
    settings: Settings,
    path_style: Option<bool>,
    attempts: Option<NonZeroU32>,
    request_timeout: Option<Duration>,
    first_pause: Duration,
}

impl BucketBuilder {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            path_style: None,
            attempts: None,
            request_timeout: None,
            first_pause: Duration::from_millis(500),
        }
    }

    pub(super) fn explicit(endpoint: &str, access_id: &str, access_secret: SecretString) -> Self {
        Self::new(Settings {
            origin: Origin::Program,
            endpoint: endpoint.to_owned(),
            access_id: access_id.to_owned(),
            access_secret,
            bucket: None,
            region: None,
            prefix: None,
        })
    }

    /// The bucket's name. By default the one that the endpoint's URL names, else the current month as
    /// `MM-YY`, which is what Python's SDK uses.
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.settings.bucket = Some(name.into());
        self
    }

    /// The region. By default what the endpoint's URL tells, else `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.settings.region = Some(region.into());
        self
    }

    /// What stands before every key, with a slash between.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = Some(prefix.into());
        self
    }

    /// Whether the bucket is named in the path (`https://host/bucket/key`) rather than in the host. By
    /// default in the host for AWS, and where the endpoint's URL has it there; else in the path.
    pub fn path_style(mut self, path_style: bool) -> Self {
        self.path_style = Some(path_style);
        self
    }

    /// How often one request is tried, the first try included. Default 3, or `RUNPOD_WORKER_UPLOAD_ATTEMPTS`; zero
    /// counts as 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN));
        self
    }

    /// How long one request may take: an object of less than 8 MiB, or one part of it. Default 5 minutes, or
    /// `RUNPOD_WORKER_UPLOAD_TIMEOUT`.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = Some(limit);
        self
    }

    /// For tests, which do not wait.
    #[cfg(test)]
    pub(super) fn without_pauses(mut self) -> Self {
        self.first_pause = Duration::from_millis(1);
        self
    }

    /// The bucket. Nothing is asked of the storage yet.
    ///
    /// # Errors
    ///
    /// [`UploadError::Config`]: the endpoint, bucket or prefix cannot be used, or a variable cannot be read.
    pub fn build(self) -> Result<Bucket, UploadError> {
        self.build_with(|name| std::env::var(name).ok(), Arc::new(SystemLookup))
    }

    pub(super) fn build_with(
        self,
        lookup: impl Fn(&str) -> Option<String>,
        names: Arc<dyn Lookup>,
    ) -> Result<Bucket, UploadError> {
        crate::storage::keep_codes();
        let origin = self.settings.origin;
        let wrong = |problem: String| UploadError::Config { origin, problem };
        let endpoint = Endpoint::parse(&self.settings.endpoint)
            .map_err(|problem| wrong(format!("{}: {problem}", origin.endpoint())))?;
        // Who may send jobs must not reach through this worker what he cannot reach himself.
        let reach = match origin {
            Origin::Job => reach::from_lookup(&lookup),
            Origin::Environment | Origin::Program => Reach::Everything,
        };
        check(&endpoint, &reach, &Proxies::from_lookup(&lookup)).map_err(wrong)?;
        let bucket = bucket_name(self.settings.bucket, &endpoint).map_err(wrong)?;
        let prefix = match self
            .settings
            .prefix
            .as_deref()
            .map(|prefix| prefix.trim_matches('/'))
        {
            None | Some("") => String::new(),
            Some(prefix) => {
                key::parse(prefix)?;
                format!("{prefix}/")
            }
        };
        // A dot in the host would be one too many for the certificate.
        let in_host = match self.path_style {
            Some(path_style) => !path_style,
            None => endpoint.bucket_in_host && !bucket.contains('.'),
        };

        let mut variables = Variables::new(&lookup);
        let attempts = variables.parsed("RUNPOD_WORKER_UPLOAD_ATTEMPTS");
        let request_timeout = variables.time("RUNPOD_WORKER_UPLOAD_TIMEOUT");
        let parallel = variables.count("RUNPOD_WORKER_UPLOAD_PARALLEL");
        if !variables.problems.is_empty() {
            return Err(wrong(variables.problems.join("; ")));
        }
        let attempts = self.attempts.or(attempts).map_or(ATTEMPTS, NonZeroU32::get);
        let request_timeout = self
            .request_timeout
            .or(request_timeout)
            .unwrap_or(REQUEST_TIMEOUT);
        let transport = Transport {
            client: client(reach, names, request_timeout).map_err(wrong)?,
            attempts,
            first_pause: self.first_pause,
        };
        let store = AmazonS3Builder::new()
            .with_endpoint(endpoint.of_bucket(&bucket, in_host))
            .with_virtual_hosted_style_request(in_host)
            .with_bucket_name(&bucket)
            .with_region(self.settings.region.as_ref().unwrap_or(&endpoint.region))
            .with_access_key_id(&self.settings.access_id)
            .with_secret_access_key(self.settings.access_secret.expose_secret())
            .with_http_connector(transport)
            // The transport tries again.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            })
            .build()
            .map_err(|problem| wrong(problem.to_string()))?;
        let s3 = S3 {
            store,
            bucket,
            origin,
            request_timeout,
        };
        Ok(Bucket {
            place: Arc::new(Place::S3(s3)),
            prefix: prefix.into(),
            link: Link::default(),
            parallel: parallel.unwrap_or(AT_ONCE),
        })
    }
}

impl Bucket {
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self {
            place: Arc::new(Place::Directory(directory)),
            prefix: "".into(),
            link: Link::default(),
            parallel: AT_ONCE,
        }
    }
}

/// Checks what the endpoint's URL alone tells; addresses of names are checked where they are looked up.
fn check(endpoint: &Endpoint, reach: &Reach, proxies: &Proxies) -> Result<(), String> {
    let literal = match endpoint.base.host() {
        Some(Host::Ipv4(address)) => reach.check(address.into()),
        Some(Host::Ipv6(address)) => reach.check(address.into()),
        _ => Ok(()),
    };
    literal.map_err(|address| format!("the endpoint's URL: {address}"))?;
    if *reach != Reach::Everything && proxies.stand_before(&endpoint.base) {
        return Err(
            "this worker has a proxy configured, and behind that a job's endpoint cannot be checked".into(),
        );
    }
    Ok(())
}

fn client(
    reach: Reach,
    names: Arc<dyn Lookup>,
    request_timeout: Duration,
) -> Result<reqwest::Client, String> {
    runpod_protocol::tls::install_provider();
    let mut client = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(request_timeout);
    if reach != Reach::Everything {
        let checked = CheckedLookup { names, reach };
        client = client.no_proxy().dns_resolver(Arc::new(checked));
    }
    client.build().map_err(|error| {
        format!(
            "no HTTPS client: {}; if the image has no certificates, install the package ca-certificates",
            causes(&error)
        )
    })
}

/// The bucket that is given, that the endpoint's URL names, or the month's.
fn bucket_name(given: Option<String>, endpoint: &Endpoint) -> Result<String, String> {
    let name = match (given, &endpoint.bucket) {
        (Some(given), Some(named)) if given != *named => {
            return Err(format!(
                "the bucket is called {given:?}, but the endpoint's URL names {named:?}"
            ));
        }
        (Some(given), _) => given,
        (None, Some(named)) => named.clone(),
        (None, None) => month(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !(1..=255).contains(&name.len()) || !name.chars().all(plain) || name.starts_with('.') {
        return Err(format!("{name:?} is not a bucket's name"));
    }
    Ok(name)
}

/// The current month as Python's SDK names buckets: `MM-YY`, in UTC.
fn month() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    // `2026-01-31T…`
    format!("{}-{}", &now[5..7], &now[2..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_bucket_must_be_the_one_that_the_endpoint_names() {
        let named = Endpoint::parse("https://pics.s3.eu-west-1.amazonaws.com").unwrap();
        let open = Endpoint::parse("https://s3.eu-west-1.amazonaws.com").unwrap();
        assert_eq!(bucket_name(None, &named).unwrap(), "pics");
        assert_eq!(bucket_name(Some("pics".into()), &named).unwrap(), "pics");
        assert_eq!(bucket_name(Some("other".into()), &open).unwrap(), "other");
        assert!(
            bucket_name(Some("other".into()), &named)
                .unwrap_err()
                .contains("names \"pics\"")
        );
    }

    #[test]
    fn without_a_name_the_bucket_is_the_months() {
        let open = Endpoint::parse("http://minio:9000").unwrap();
        let name = bucket_name(None, &open).unwrap();
        let (month, year) = name.split_once('-').unwrap();
        assert!((1..=12).contains(&month.parse::<u32>().unwrap()), "{name}");
        assert!(year.len() == 2 && year.parse::<u32>().unwrap() >= 25, "{name}");
    }

    #[test]
    fn names_that_are_no_buckets_are_refused() {
        let open = Endpoint::parse("http://minio:9000").unwrap();
        for name in ["", "a/b", "..", "a b", "a?b", "a@b"] {
            assert!(bucket_name(Some(name.to_owned()), &open).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_jobs_endpoint_behind_a_proxy_is_refused_and_the_workers_own_is_not() {
        let endpoint = Endpoint::parse("https://s3.eu-west-1.amazonaws.com").unwrap();
        let proxies =
            Proxies::from_lookup(|name| (name == "HTTPS_PROXY").then(|| "http://p.example".to_owned()));
        assert!(
            check(&endpoint, &Reach::Public, &proxies)
                .unwrap_err()
                .contains("proxy")
        );
        assert_eq!(check(&endpoint, &Reach::Everything, &proxies), Ok(()));
    }

    #[test]
    fn limits_come_from_the_program_or_else_from_their_variables() {
        let bucket = |variables: fn(&str) -> Option<&'static str>, attempts: Option<u32>| {
            let builder = BucketBuilder::explicit("http://127.0.0.1:9", "id", "secret".into()).bucket("pics");
            let builder = match attempts {
                Some(attempts) => builder.attempts(attempts).request_timeout(Duration::from_secs(1)),
                None => builder,
            };
            builder.build_with(|name| variables(name).map(str::to_owned), Arc::new(SystemLookup))
        };
        let set = |name: &str| match name {
            "RUNPOD_WORKER_UPLOAD_TIMEOUT" => Some("7s"),
            "RUNPOD_WORKER_UPLOAD_PARALLEL" => Some("2"),
            _ => None,
        };
        let limits = |bucket: &Bucket| match &*bucket.place {
            Place::S3(s3) => (s3.request_timeout.as_secs(), bucket.parallel.get()),
            Place::Directory(_) => unreachable!("it is none"),
        };
        assert_eq!(limits(&bucket(|_| None, None).unwrap()), (300, 4));
        assert_eq!(limits(&bucket(set, None).unwrap()), (7, 2));
        assert_eq!(limits(&bucket(set, Some(1)).unwrap()), (1, 2));
        let wrong = |name: &str| name.starts_with("RUNPOD_WORKER_UPLOAD").then_some("none");
        let problem = bucket(wrong, None).unwrap_err().to_string();
        for name in ["ATTEMPTS", "TIMEOUT", "PARALLEL"] {
            assert!(
                problem.contains(&format!("RUNPOD_WORKER_UPLOAD_{name}=none")),
                "{problem}"
            );
        }
    }
}
