//! The client of a bucket in its region. Requests are signed for a region, and storage that refuses one may name the right
//! one.

use std::fmt;
use std::sync::Arc;

use object_store::RetryConfig;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use runpod_protocol::sync::Mutex;
use secrecy::{ExposeSecret as _, SecretString};

use super::endpoint::Endpoint;
use super::transport::Transport;

/// What a client of a bucket is made of, but for the region.
pub(super) struct StoreAccess {
    pub(super) endpoint: Endpoint,
    pub(super) bucket: String,
    pub(super) in_host: bool,
    pub(super) access_id: String,
    pub(super) access_secret: SecretString,
    pub(super) session_token: Option<SecretString>,
    pub(super) transport: Transport,
}

impl StoreAccess {
    fn open(&self, endpoint: &Endpoint, region: &str) -> Result<AmazonS3, String> {
        let url = endpoint.of_bucket(&self.bucket, self.in_host)?;
        let mut builder = AmazonS3Builder::new()
            .with_endpoint(url.as_str().trim_end_matches('/'))
            .with_virtual_hosted_style_request(self.in_host)
            .with_bucket_name(&self.bucket)
            .with_region(region)
            .with_access_key_id(&self.access_id)
            .with_secret_access_key(self.access_secret.expose_secret())
            .with_http_connector(self.transport.clone())
            // The transport tries again.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            });
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token.expose_secret());
        }
        builder.build().map_err(|problem| problem.to_string())
    }
}

/// A client that signs for one region.
pub(super) struct RegionStore {
    region: String,
    pub(super) store: AmazonS3,
}

/// The client of a bucket, by the region that is known.
pub(super) struct Stores {
    access: StoreAccess,
    current: Mutex<Arc<RegionStore>>,
}

impl Stores {
    /// Begins with the given region, else with the one of the endpoint.
    pub(super) fn new(access: StoreAccess, region: Option<String>) -> Result<Self, String> {
        let region = region.unwrap_or_else(|| access.endpoint.region.clone());
        let store = access.open(&access.endpoint, &region)?;
        let current = Mutex::new(Arc::new(RegionStore { region, store }));
        Ok(Self { access, current })
    }

    pub(super) fn current(&self) -> Arc<RegionStore> {
        self.current.lock().clone()
    }

    /// The client for the region that the storage has named; `None` if `tried` was for that one already.
    pub(super) fn in_region(&self, region: &str, tried: &RegionStore) -> Option<Arc<RegionStore>> {
        if tried.region == region {
            return None;
        }
        let endpoint = self.access.endpoint.clone().in_region(region);
        let store = self.access.open(&endpoint, region).ok()?;
        let region = region.to_owned();
        Some(Arc::new(RegionStore { region, store }))
    }

    /// Uses this client from now on.
    pub(super) fn keep(&self, store: Arc<RegionStore>) {
        *self.current.lock() = store;
    }
}

/// Leaves the clients out: they hold the secret.
impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores")
            .field("region", &self.current().region)
            .finish_non_exhaustive()
    }
}
