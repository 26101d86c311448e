//! The endpoint and the credentials, from the job or from the environment.

use runpod_worker::Job;
use secrecy::SecretString;
use serde::Deserialize;

use super::error::UploadError;
use super::origin::Origin;

/// What a client needs to reach a bucket.
#[derive(Debug, Clone)]
pub(super) struct BucketConfig {
    pub(super) origin: Origin,
    pub(super) endpoint: String,
    pub(super) access_id: String,
    pub(super) access_secret: SecretString,
    pub(super) bucket: Option<String>,
    pub(super) region: Option<String>,
    pub(super) prefix: Option<String>,
}

impl BucketConfig {
    /// Reads the `BUCKET_…` variables. `None` if none of the three required ones is set.
    pub(super) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, UploadError> {
        let get = |name: &str| {
            let value = lookup(name)?;
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let required = [
            ("BUCKET_ENDPOINT_URL", get("BUCKET_ENDPOINT_URL")),
            ("BUCKET_ACCESS_KEY_ID", get("BUCKET_ACCESS_KEY_ID")),
            ("BUCKET_SECRET_ACCESS_KEY", get("BUCKET_SECRET_ACCESS_KEY")),
        ];
        let Some([endpoint, access_id, access_secret]) = complete(Origin::Environment, required)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            origin: Origin::Environment,
            endpoint,
            access_id,
            access_secret: access_secret.into(),
            bucket: get("BUCKET_NAME"),
            region: get("BUCKET_REGION"),
            prefix: None,
        }))
    }

    /// Reads the job's `s3Config`. `None` if the job has none.
    pub(super) fn from_job(job: &Job) -> Result<Option<Self>, UploadError> {
        let config = job
            .get::<Option<S3Config>>("s3Config")
            .map_err(|problem| UploadError::Config {
                origin: Origin::Job,
                // The problem's own text quotes the value, which may be the secret.
                problem: match problem.path() {
                    "" => "s3Config is not an object".to_owned(),
                    path => format!("s3Config.{path} is not text"),
                },
            })?;
        let Some(config) = config.flatten() else {
            return Ok(None);
        };
        let given = |value: Option<String>| value.filter(|value| !value.trim().is_empty());
        let required = [
            ("s3Config.endpointUrl", given(config.endpoint_url)),
            ("s3Config.accessId", given(config.access_id)),
            ("s3Config.accessSecret", given(config.access_secret)),
        ];
        let Some([endpoint, access_id, access_secret]) = complete(Origin::Job, required)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            origin: Origin::Job,
            endpoint,
            access_id,
            access_secret: access_secret.into(),
            bucket: given(config.bucket_name),
            region: None,
            prefix: given(config.object_path),
        }))
    }
}

/// The `s3Config` as jobs have it. It has no `Debug`, because it holds the secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Config {
    endpoint_url: Option<String>,
    access_id: Option<String>,
    access_secret: Option<String>,
    bucket_name: Option<String>,
    object_path: Option<String>,
}

/// All three values, or none. One or two of them are a mistake.
fn complete(
    origin: Origin,
    required: [(&'static str, Option<String>); 3],
) -> Result<Option<[String; 3]>, UploadError> {
    let missing: Vec<_> = required
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| *name)
        .collect();
    match required.map(|(_, value)| value) {
        [Some(first), Some(second), Some(third)] => Ok(Some([first, second, third])),
        [None, None, None] => Ok(None),
        _ => Err(UploadError::Config {
            origin,
            problem: format!("{} not set, though others are", missing.join(" and ")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use runpod_worker::json::RawJson;

    fn job(s3_config: &serde_json::Value) -> Job {
        let whole = json!({ "id": "j", "input": {}, "s3Config": s3_config });
        Job::from_json(whole.to_string()).unwrap()
    }

    #[test]
    fn three_variables_make_a_bucket_and_two_are_a_mistake() {
        let read = |names: &[&str]| {
            BucketConfig::from_lookup(|name| names.contains(&name).then(|| format!("value of {name}")))
        };
        let three = [
            "BUCKET_ENDPOINT_URL",
            "BUCKET_ACCESS_KEY_ID",
            "BUCKET_SECRET_ACCESS_KEY",
        ];
        let settings = read(&three).unwrap().unwrap();
        assert_eq!((settings.bucket, settings.region), (None, None));
        assert!(!format!("{:?}", settings.access_secret).contains("value"));
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&["BUCKET_NAME"]).unwrap().is_none());
        let problem = read(&three[..2]).unwrap_err().to_string();
        assert!(problem.contains("BUCKET_SECRET_ACCESS_KEY not set"), "{problem}");
    }

    #[test]
    fn a_jobs_config_is_read_whole() {
        let settings = BucketConfig::from_job(&job(&json!({
            "accessId": "id", "accessSecret": "hunter2", "bucketName": "pics",
            "endpointUrl": "https://s3.amazonaws.com", "objectPath": "a/b", "more": 1,
        })))
        .unwrap()
        .unwrap();
        assert_eq!(settings.bucket.as_deref(), Some("pics"));
        assert_eq!(settings.prefix.as_deref(), Some("a/b"));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn no_config_and_an_empty_one_are_none() {
        for config in [
            json!(null),
            json!({}),
            json!({ "accessId": "", "accessSecret": null }),
        ] {
            assert!(
                BucketConfig::from_job(&job(&config)).unwrap().is_none(),
                "{config}"
            );
        }
        assert!(
            BucketConfig::from_job(&Job::new("j", RawJson::null()))
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn half_a_config_names_what_is_missing_and_no_secret() {
        let error = BucketConfig::from_job(&job(&json!({ "accessSecret": "hunter2" })))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("s3Config.endpointUrl and s3Config.accessId not set"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
        let error = BucketConfig::from_job(&job(&json!("hunter2"))).unwrap_err();
        assert!(matches!(
            error,
            UploadError::Config {
                origin: Origin::Job,
                ..
            }
        ));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
