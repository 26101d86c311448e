//! Which part of the deployment names the storage.

/// Which part of the deployment names the storage, and so has to correct a mistake in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The `s3Config` of the job.
    Job,
    /// The environment: `BUCKET_ENDPOINT_URL` and so on.
    Environment,
    /// The worker's program: [`Bucket::explicit`](super::Bucket::explicit).
    Program,
}

impl Origin {
    /// What the origin calls the key's id and secret.
    pub(super) fn credentials(self) -> &'static str {
        match self {
            Self::Job => "accessId and accessSecret of the job's s3Config",
            Self::Environment => "BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY",
            Self::Program => "the access key and secret that the worker's program uses",
        }
    }

    /// What the origin calls the endpoint's URL.
    pub(super) fn endpoint(self) -> &'static str {
        match self {
            Self::Job => "endpointUrl of the job's s3Config",
            Self::Environment => "BUCKET_ENDPOINT_URL",
            Self::Program => "the endpoint that the worker's program uses",
        }
    }

    /// What the origin calls the bucket's name.
    pub(super) fn bucket(self) -> &'static str {
        match self {
            Self::Job => "bucketName of the job's s3Config",
            Self::Environment => "BUCKET_NAME",
            Self::Program => "the bucket that the worker's program uses",
        }
    }
}
