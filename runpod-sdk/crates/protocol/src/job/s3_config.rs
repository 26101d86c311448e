//! The storage that a client names for its job's files.

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

/// The bucket that a worker uploads to: a job's `s3Config`. RunPod passes it on and does nothing with it
/// (`docs/protocol/endpoint-api.md` §3).
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

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    secret.expose_secret().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    #[test]
    fn the_secret_is_sent_and_not_shown() {
        let config = S3Config::new("https://s3.example", "b", "id", "hidden");
        assert_eq!(
            serde_json::to_value(&config).unwrap()[key::ACCESS_SECRET],
            "hidden"
        );
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
