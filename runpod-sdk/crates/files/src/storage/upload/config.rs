//! The endpoint and the credentials, from the job or from the environment.

use runpod_protocol::variable;
use runpod_worker::Job;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::error::UploadError;
use super::origin::Origin;

const ONLY_PLAIN: &str = "it holds a space, a control character or a letter that is not ASCII";

/// What a client needs to reach a bucket.
#[derive(Debug, Clone)]
pub(super) struct BucketConfig {
    pub(super) origin: Origin,
    pub(super) endpoint: String,
    pub(super) access_id: String,
    pub(super) access_secret: SecretString,
    /// Belongs to temporary credentials.
    pub(super) session_token: Option<SecretString>,
    pub(super) bucket: Option<String>,
    pub(super) region: Option<String>,
    pub(super) prefix: Option<String>,
}

impl BucketConfig {
    /// Reads the `BUCKET_…` variables, and the `AWS_…` variables where those are absent. `None` if no storage is named.
    pub(super) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, UploadError> {
        let get = |name: &str| {
            let value = variable::unless_blank(lookup(name))?;
            Some(value.trim().to_owned())
        };
        let bucket = get("BUCKET_NAME");
        let region = get("BUCKET_REGION").or_else(|| first(get, &["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let endpoint = get("BUCKET_ENDPOINT_URL");
        let own_keys = [get("BUCKET_ACCESS_KEY_ID"), get("BUCKET_SECRET_ACCESS_KEY")];
        let aws_keys = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"));
        let (Some(access_id), Some(access_secret), [None, None]) = (aws_keys.0, aws_keys.1, &own_keys) else {
            let [access_id, access_secret] = own_keys;
            let required = [
                ("BUCKET_ENDPOINT_URL", endpoint),
                ("BUCKET_ACCESS_KEY_ID", access_id),
                ("BUCKET_SECRET_ACCESS_KEY", access_secret),
            ];
            let values = complete(Origin::Environment, required)?;
            return Ok(values.map(|[endpoint, access_id, access_secret]| Self {
                origin: Origin::Environment,
                endpoint,
                access_id,
                access_secret: access_secret.into(),
                session_token: None,
                bucket,
                region,
                prefix: get("BUCKET_PREFIX"),
            }));
        };
        // Keys of AWS alone may be there for something else. Storage is meant where an endpoint or a bucket is named.
        let endpoint = endpoint
            .or_else(|| first(get, &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]))
            .or_else(|| {
                let region = region.as_deref().filter(|_| bucket.is_some())?;
                Some(format!("https://s3.{region}.amazonaws.com"))
            });
        Ok(endpoint.map(|endpoint| Self {
            origin: Origin::AwsEnvironment,
            endpoint,
            access_id,
            access_secret: access_secret.into(),
            session_token: get("AWS_SESSION_TOKEN").map(SecretString::from),
            bucket,
            region,
            prefix: get("BUCKET_PREFIX"),
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
            session_token: None,
            bucket: given(config.bucket_name),
            region: None,
            prefix: given(config.object_path),
        }))
    }
}

impl BucketConfig {
    /// Checks what becomes part of a header of each request, where not every character may stand. The error is the
    /// problem in words.
    pub(super) fn check_text(&self) -> Result<(), String> {
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        if !plain(&self.access_id) {
            return Err(format!("{}: {ONLY_PLAIN}", self.origin.access_id()));
        }
        // It is in no header, but no storage gives out such a secret.
        if self.access_secret.expose_secret().chars().any(char::is_control) {
            return Err(format!(
                "{}: it holds a control character, such as a line break",
                self.origin.access_secret()
            ));
        }
        let token = self.session_token.as_ref();
        if !token.is_none_or(|token| plain(token.expose_secret())) {
            return Err(format!("AWS_SESSION_TOKEN: {ONLY_PLAIN}"));
        }
        match &self.region {
            Some(region) if !plain(region) => Err(format!("the region: {ONLY_PLAIN}")),
            _ => Ok(()),
        }
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

/// The first of these variables that is set.
fn first(get: impl Fn(&str) -> Option<String>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| get(name))
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
    use secrecy::ExposeSecret as _;
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

    fn of(variables: &[(&str, &str)]) -> Result<Option<BucketConfig>, UploadError> {
        BucketConfig::from_lookup(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const AWS_KEYS: [(&str, &str); 3] = [
        ("AWS_ACCESS_KEY_ID", "aws-id"),
        ("AWS_SECRET_ACCESS_KEY", "aws-secret"),
        ("AWS_SESSION_TOKEN", "aws-token"),
    ];

    #[test]
    fn names_of_aws_are_used_where_ours_are_absent() {
        let endpoint = ("AWS_ENDPOINT_URL", "http://minio:9000");
        let config = of(&[&AWS_KEYS[..], &[endpoint, ("AWS_DEFAULT_REGION", "eu-west-1")]].concat());
        let config = config.unwrap().unwrap();
        assert_eq!(
            (config.origin, config.endpoint.as_str()),
            (Origin::AwsEnvironment, endpoint.1)
        );
        assert_eq!(
            (config.access_id.as_str(), config.region.as_deref()),
            ("aws-id", Some("eu-west-1"))
        );
        assert_eq!(config.session_token.unwrap().expose_secret(), "aws-token");

        let ours = [
            endpoint,
            ("BUCKET_ENDPOINT_URL", "http://ours:9000"),
            ("BUCKET_ACCESS_KEY_ID", "our-id"),
            ("BUCKET_SECRET_ACCESS_KEY", "our-secret"),
            ("BUCKET_PREFIX", "results"),
        ];
        let config = of(&[&AWS_KEYS[..], &ours].concat()).unwrap().unwrap();
        assert_eq!(
            (config.origin, config.endpoint.as_str()),
            (Origin::Environment, "http://ours:9000")
        );
        assert_eq!(
            (config.access_id.as_str(), config.prefix.as_deref()),
            ("our-id", Some("results"))
        );
        assert!(config.session_token.is_none(), "it belongs to the other keys");

        let mixed = of(&[&AWS_KEYS[..], &[("BUCKET_ENDPOINT_URL", "http://ours:9000")]].concat())
            .unwrap()
            .unwrap();
        assert_eq!(
            (mixed.access_id.as_str(), mixed.endpoint.as_str()),
            ("aws-id", "http://ours:9000")
        );
    }

    #[test]
    fn keys_of_aws_alone_name_no_storage() {
        assert!(of(&AWS_KEYS).unwrap().is_none());
        assert!(
            of(&[&AWS_KEYS[..], &[("AWS_REGION", "eu-west-1")]].concat())
                .unwrap()
                .is_none()
        );
        assert!(
            of(&[("AWS_ENDPOINT_URL", "http://minio:9000")])
                .unwrap()
                .is_none()
        );
        let named = [("AWS_REGION", "eu-west-1"), ("BUCKET_NAME", "pics")];
        let config = of(&[&AWS_KEYS[..], &named].concat()).unwrap().unwrap();
        assert_eq!(config.endpoint, "https://s3.eu-west-1.amazonaws.com");
        let half = of(&[AWS_KEYS[1], ("BUCKET_ACCESS_KEY_ID", "our-id")])
            .unwrap_err()
            .to_string();
        assert!(
            half.contains("BUCKET_ENDPOINT_URL and BUCKET_SECRET_ACCESS_KEY not set"),
            "{half}"
        );
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
