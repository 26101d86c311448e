//! Which part of the deployment names the storage.

use std::fmt;

/// Which part of the deployment names the storage, and so has to correct a mistake in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The `s3Config` of the job.
    Job,
    /// The environment: `BUCKET_ENDPOINT_URL` and so on.
    Environment,
    /// The environment, by AWS's names: `AWS_ACCESS_KEY_ID` and so on.
    AwsEnvironment,
    /// The worker's program: [`Bucket::explicit`](super::Bucket::explicit).
    Program,
}

/// The settings in words, as in "the storage of …".
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Job => "the job's s3Config",
            Self::Environment => "the BUCKET_… variables",
            Self::AwsEnvironment => "the AWS_… variables",
            Self::Program => "the worker's program",
        })
    }
}

impl Origin {
    /// What the origin calls the key's id and secret.
    pub(super) fn credentials(self) -> &'static str {
        match self {
            Self::Job => "accessId and accessSecret of the job's s3Config",
            Self::Environment => "BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY",
            Self::AwsEnvironment => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
            Self::Program => "the access key and secret that the worker's program uses",
        }
    }

    /// What the origin calls the key's id.
    pub(super) fn access_id(self) -> &'static str {
        match self {
            Self::Job => "accessId of the job's s3Config",
            Self::Environment => "BUCKET_ACCESS_KEY_ID",
            Self::AwsEnvironment => "AWS_ACCESS_KEY_ID",
            Self::Program => "the access key that the worker's program uses",
        }
    }

    /// What the origin calls the key's secret.
    pub(super) fn access_secret(self) -> &'static str {
        match self {
            Self::Job => "accessSecret of the job's s3Config",
            Self::Environment => "BUCKET_SECRET_ACCESS_KEY",
            Self::AwsEnvironment => "AWS_SECRET_ACCESS_KEY",
            Self::Program => "the secret that the worker's program uses",
        }
    }

    /// What the origin calls the prefix of keys.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Job => "objectPath of the job's s3Config",
            Self::Environment | Self::AwsEnvironment => "BUCKET_PREFIX",
            Self::Program => "the prefix that the worker's program uses",
        }
    }

    /// What the origin calls the endpoint's URL.
    pub(super) fn endpoint(self) -> &'static str {
        match self {
            Self::Job => "endpointUrl of the job's s3Config",
            Self::Environment => "BUCKET_ENDPOINT_URL",
            Self::AwsEnvironment => "BUCKET_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL",
            Self::Program => "the endpoint that the worker's program uses",
        }
    }

    /// What the origin calls the bucket's name.
    pub(super) fn bucket(self) -> &'static str {
        match self {
            Self::Job => "bucketName of the job's s3Config",
            Self::Environment | Self::AwsEnvironment => "BUCKET_NAME",
            Self::Program => "the bucket that the worker's program uses",
        }
    }

    /// How the origin is told the bucket's region.
    pub(super) fn set_region(self, region: &str) -> String {
        match self {
            Self::Job => format!("give the endpoint of {region} as endpointUrl of the job's s3Config"),
            Self::Environment | Self::AwsEnvironment => {
                format!(
                    "set BUCKET_REGION={region}, and see that {} is the endpoint of it",
                    self.endpoint()
                )
            }
            Self::Program => format!("call `.region({region:?})`, and use the endpoint of it"),
        }
    }
}
