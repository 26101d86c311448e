//! Which storage a job uses.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::json;

use super::super::config::BucketConfig;
use super::*;
use crate::storage::egress::SystemLookup;
use runpod_worker::Job;
use runpod_worker::json::RawJson;
use runpod_worker::{ErrorClass, JobError};

fn job(endpoint: &str, more: &serde_json::Value) -> Job {
    let mut config = json!({ "endpointUrl": endpoint, "accessId": ACCESS_ID, "accessSecret": SECRET, "bucketName": "pics" });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let whole = json!({ "id": "job-1", "input": {}, "s3Config": config });
    Job::from_json(whole.to_string()).unwrap()
}

fn open(name: &str) -> Option<String> {
    (name == "RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS").then(|| "1".to_owned())
}

#[tokio::test]
async fn a_jobs_own_storage_comes_first() {
    let of_job = S3Server::start().await;
    let of_worker = S3Server::start().await;
    let worker = of_worker.url();
    let lookup = move |name: &str| match name {
        "BUCKET_ENDPOINT_URL" => Some(worker.clone()),
        "BUCKET_ACCESS_KEY_ID" => Some(ACCESS_ID.to_owned()),
        "BUCKET_SECRET_ACCESS_KEY" => Some(SECRET.to_owned()),
        "BUCKET_NAME" => Some("pics".to_owned()),
        name => open(name),
    };
    let with_config = job(&of_job.url(), &json!({ "objectPath": "/results/7/" }));
    let bucket = Bucket::for_job_with(&with_config, &lookup).unwrap();
    let uploaded = bucket.put("a.png", "x", None).await.unwrap();
    assert_eq!(uploaded.key, "results/7/a.png");
    assert!(of_job.stored("results/7/a.png").exists());

    let without = Job::new("job-2", RawJson::null());
    let bucket = Bucket::for_job_with(&without, &lookup).unwrap();
    bucket
        .put(&Bucket::key(without.id(), "a.png"), "x", None)
        .await
        .unwrap();
    assert!(of_worker.stored("job-2/a.png").exists());
}

#[tokio::test]
async fn without_storage_an_upload_is_an_error_unless_a_directory_is_named() {
    let job = Job::new("job-1", RawJson::null());
    let error = JobError::from(Bucket::for_job_with(&job, |_| None).unwrap_err());
    assert_eq!(
        (error.code().as_str(), error.class()),
        ("UPLOAD_NOT_CONFIGURED", ErrorClass::Worker)
    );
    assert!(error.hint().unwrap().contains("BUCKET_SECRET_ACCESS_KEY"));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap().to_owned();
    let lookup = move |name: &str| (name == "RUNPOD_WORKER_LOCAL_UPLOADS").then(|| path.clone());
    let uploaded = Bucket::for_job_with(&job, lookup)
        .unwrap()
        .put("a.png", "x", None)
        .await
        .unwrap();
    assert!(std::path::Path::new(&uploaded.url).exists());
}

#[tokio::test]
async fn a_jobs_endpoint_must_be_public() {
    let server = S3Server::start().await;
    let by_name = server.url().replace("127.0.0.1", "localhost");
    for endpoint in [
        server.url(),
        "http://169.254.169.254".into(),
        "http://[::1]:80".into(),
        "http://2130706433".into(),
    ] {
        let error = Bucket::for_job_with(&job(&endpoint, &json!({})), |_| None).unwrap_err();
        assert!(error.to_string().contains("not public"), "{endpoint}: {error}");
        let names_the_variable = error.to_string().contains("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS=1");
        assert_eq!(names_the_variable, !endpoint.contains("169.254"), "{error}");
        let error = JobError::from(error);
        assert_eq!(
            (error.code().as_str(), error.class()),
            ("UPLOAD_NOT_CONFIGURED", ErrorClass::User)
        );
    }
    let bucket = Bucket::for_job_with(&job(&by_name, &json!({})), |_| None).unwrap();
    let before_the_work = bucket.check_host().await.unwrap_err();
    let after_it = bucket.put("a.png", "x", None).await.unwrap_err();
    for error in [before_the_work, after_it] {
        assert!(
            matches!(
                error,
                UploadError::Config {
                    origin: Origin::Job,
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_jobs_endpoint_is_checked_under_the_buckets_name_too() {
    // The client looks up `pics.s3.….amazonaws.com`.
    struct Inner;
    impl crate::storage::egress::NameLookup for Inner {
        fn lookup(
            &self,
            name: String,
        ) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
            assert!(name.starts_with("pics."), "{name}");
            Box::pin(std::future::ready(Ok(vec![Ipv4Addr::LOCALHOST.into()])))
        }
    }
    let config = BucketConfig::from_job(&job("http://s3.eu-west-1.amazonaws.com", &json!({})))
        .unwrap()
        .unwrap();
    let bucket = BucketBuilder::new(config)
        .build_with(|_| None, Arc::new(Inner))
        .unwrap();
    for error in [
        bucket.check_host().await,
        bucket.put("a.png", "x", None).await.map(drop),
    ] {
        let error = error.unwrap_err();
        assert!(error.to_string().contains("not public"), "{error}");
    }
}

/// Looks no name up.
struct NoNames;

impl crate::storage::egress::NameLookup for NoNames {
    fn lookup(&self, _: String) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::ready(Err(std::io::Error::other("no such host"))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_jobs_endpoint_that_cannot_be_looked_up_is_found_before_the_work_and_the_workers_is_not_looked_up()
{
    let config = BucketConfig::from_job(&job("https://storage.example", &json!({})));
    let mut config = config.unwrap().unwrap();
    let bucket = |config| {
        BucketBuilder::new(config)
            .build_with(|_| None, Arc::new(NoNames))
            .unwrap()
    };
    let error = bucket(config.clone()).check_host().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "storage.example: the storage's name cannot be looked up: no such host (tried 3 times)"
    );
    let error = JobError::from(error);
    assert!(error.is_retryable());
    assert_eq!(error.hint(), Some("check endpointUrl of the job's s3Config"));
    config.origin = Origin::Environment;
    bucket(config).check_host().await.unwrap();
}

/// Everything that a job can get wrong in its `s3Config` is found when the bucket is made, before the job's work.
#[test]
fn each_part_of_a_jobs_config_that_no_request_can_have_is_the_callers_mistake_and_is_named() {
    let long = "x/".repeat(300);
    for (key, value, named) in [
        ("accessId", "AKIA\n", "accessId of the job's s3Config"),
        ("accessId", "AK IA", "accessId of the job's s3Config"),
        ("accessId", "\u{7f}AKIA", "accessId of the job's s3Config"),
        ("accessId", "AKIÄ", "accessId of the job's s3Config"),
        (
            "accessSecret",
            "hunter2\r\n",
            "accessSecret of the job's s3Config",
        ),
        ("accessSecret", "\0hunter2", "accessSecret of the job's s3Config"),
        ("bucketName", "pi\ncs", "not a bucket's name"),
        ("bucketName", "pi/cs", "not a bucket's name"),
        ("objectPath", "a\nb", "objectPath of the job's s3Config"),
        ("objectPath", "a/../b", "objectPath of the job's s3Config"),
        ("objectPath", long.as_str(), "objectPath of the job's s3Config"),
        (
            "endpointUrl",
            "https://s3.exa mple",
            "endpointUrl of the job's s3Config",
        ),
        (
            "endpointUrl",
            "https://\u{1}",
            "endpointUrl of the job's s3Config",
        ),
        ("endpointUrl", "https://:443", "endpointUrl of the job's s3Config"),
    ] {
        let mut more = serde_json::Map::new();
        more.insert(key.to_owned(), value.into());
        let job = job("https://s3.eu-west-1.amazonaws.com", &more.into());
        let error = Bucket::for_job_with(&job, |_| None).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(named) && !text.contains("hunter2"),
            "{key} {value:?}: {text}"
        );
        let error = JobError::from(error);
        assert_eq!(
            (error.code().as_str(), error.class()),
            ("UPLOAD_NOT_CONFIGURED", ErrorClass::User),
            "{key} {value:?}"
        );
    }
}

#[tokio::test]
async fn a_jobs_wrong_secret_is_the_callers_mistake() {
    let server = S3Server::start().await;
    let job = job(&server.url(), &json!({ "accessSecret": "wrong" }));
    let config = BucketConfig::from_job(&job).unwrap().unwrap();
    let bucket = BucketBuilder::new(config)
        .build_with(open, Arc::new(SystemLookup))
        .unwrap();
    let error = JobError::from(bucket.put("a.png", "x", None).await.unwrap_err());
    assert_eq!(
        (error.code().as_str(), error.class()),
        ("UPLOAD_REFUSED", ErrorClass::User)
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("accessSecret of the job's s3Config"),
        "{:?}",
        error.hint()
    );
}

#[tokio::test]
async fn the_environments_prefix_stands_before_keys_and_a_bucket_named_twice_is_used_once() {
    let server = S3Server::start().await;
    let endpoint = format!("{}/pics/", server.url());
    let lookup = move |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_ACCESS_KEY_ID" => Some(ACCESS_ID.to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some(SECRET.to_owned()),
        "BUCKET_NAME" => Some("pics".to_owned()),
        "BUCKET_PREFIX" => Some("results/today".to_owned()),
        _ => None,
    };
    let bucket = Bucket::for_job_with(&Job::new("job-1", RawJson::null()), lookup).unwrap();
    assert_eq!(bucket.origin(), Some(Origin::AwsEnvironment));
    let uploaded = bucket.put("a.png", "x", None).await.unwrap();
    assert_eq!(uploaded.key, "results/today/a.png");
    assert!(server.stored("results/today/a.png").exists());
    assert!(
        server.requests()[0].starts_with("PUT /pics/results/"),
        "{:?}",
        server.requests()
    );
}

#[tokio::test]
async fn a_session_token_goes_with_each_request_and_each_link() {
    let server = crate::storage::test_server::Server::start(|_, head| stores(head, 1)).await;
    let endpoint = server.url("");
    let lookup = move |name: &str| match name {
        "AWS_ENDPOINT_URL_S3" => Some(endpoint.clone()),
        "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:9".to_owned()),
        "AWS_ACCESS_KEY_ID" => Some(ACCESS_ID.to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some(SECRET.to_owned()),
        "AWS_SESSION_TOKEN" => Some("the-token".to_owned()),
        "BUCKET_NAME" => Some("pics".to_owned()),
        _ => None,
    };
    let bucket = Bucket::for_job_with(&Job::new("job-1", RawJson::null()), lookup).unwrap();
    assert!(!format!("{bucket:?}").contains("the-token"));
    let uploaded = bucket.put("a.png", "x", None).await.unwrap();
    assert!(
        server
            .requests()
            .iter()
            .all(|head| head.contains("x-amz-security-token: the-token"))
    );
    assert!(
        uploaded.url.contains("X-Amz-Security-Token=the-token"),
        "{}",
        uploaded.url
    );
}
