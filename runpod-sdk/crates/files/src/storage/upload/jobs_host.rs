//! The look-up of a job's endpoint before the work whose result goes there.

use std::error::Error;
use std::sync::Arc;

use runpod_protocol::causes;
use url::{Host, Url};

use super::error::UploadError;
use super::origin::Origin;
use crate::storage::egress::{CheckedResolver, EgressPolicy, NameLookup, NotPublic};
use crate::storage::retry::RetryPolicy;

/// The host of a job's endpoint, by name.
#[derive(Debug)]
pub(super) struct JobsHost {
    name: String,
    resolver: CheckedResolver,
    retry: RetryPolicy,
}

impl JobsHost {
    /// The host in `url`; `None` if it is an address, which needs no look-up.
    pub(super) fn of(
        url: &Url,
        policy: &EgressPolicy,
        names: Arc<dyn NameLookup>,
        retry: RetryPolicy,
    ) -> Option<Self> {
        let Some(Host::Domain(name)) = url.host() else {
            return None;
        };
        let policy = policy.clone();
        Some(Self {
            name: name.to_owned(),
            resolver: CheckedResolver { names, policy },
            retry,
        })
    }

    /// Looks the host up. An address that must not be reached is the caller's mistake.
    pub(super) async fn check(&self) -> Result<(), UploadError> {
        let origin = Origin::Job;
        let mut pauses = self.retry.pauses();
        let mut attempts = 1;
        loop {
            let Err(error) = self.resolver.look_up(self.name.clone()).await else {
                return Ok(());
            };
            if let Some(address) = error.downcast_ref::<NotPublic>() {
                return Err(not_public(origin, *address));
            }
            if attempts >= self.retry.attempts {
                return Err(self.unknown(origin, attempts, error));
            }
            tokio::time::sleep(pauses.next_wait()).await;
            attempts += 1;
        }
    }

    fn unknown(&self, origin: Origin, attempts: u32, source: Box<dyn Error + Send + Sync>) -> UploadError {
        UploadError::Broken {
            key: self.name.clone(),
            reason: format!(
                "the storage's name cannot be looked up: {}",
                causes::in_words(&*source)
            ),
            attempts,
            transient: true,
            origin,
            source,
        }
    }
}

/// The error of a host with an address that must not be reached.
pub(super) fn not_public(origin: Origin, address: NotPublic) -> UploadError {
    UploadError::Config {
        origin,
        problem: format!("the endpoint: {address}"),
    }
}
