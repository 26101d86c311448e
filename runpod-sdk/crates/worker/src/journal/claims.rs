//! Claims on a job's files within this process, by a running job or by the delivery of leftovers.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::name::JobKey;

/// The kind of holder of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimant {
    /// A job that was taken.
    Job,
    /// The delivery of leftovers.
    Recovery,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<JobKey, ActiveClaim>>>);

/// An exclusive claim on a job's files. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(crate) struct Claim {
    claims: Claims,
    key: JobKey,
}

#[derive(Debug)]
struct ActiveClaim {
    by: Claimant,
    /// Closed when the claim ends.
    held: watch::Sender<()>,
}

impl Claims {
    /// Claims a job's files for the delivery of leftovers, if they are free.
    pub(super) fn try_claim(&self, key: &JobKey) -> Option<Claim> {
        self.enter(key, Claimant::Recovery).ok()
    }

    /// Waits until a job's files are free and claims them for the job.
    pub(super) async fn claim(&self, key: &JobKey) -> Claim {
        loop {
            let mut held = match self.enter(key, Claimant::Job) {
                Ok(claim) => return claim,
                Err(held) => held,
            };
            // Nothing is ever sent: the wait ends in an error when the claim is dropped.
            while held.changed().await.is_ok() {}
        }
    }

    pub(super) fn are_with(&self, key: &JobKey, by: Claimant) -> bool {
        self.lock().get(key).is_some_and(|entry| entry.by == by)
    }

    pub(super) fn is_claimed(&self, key: &JobKey) -> bool {
        self.lock().contains_key(key)
    }

    /// Adds a claim. If there is one already, returns a receiver that closes when that claim ends.
    fn enter(&self, key: &JobKey, by: Claimant) -> Result<Claim, watch::Receiver<()>> {
        let mut entries = self.lock();
        if let Some(entry) = entries.get(key) {
            return Err(entry.held.subscribe());
        }
        let held = watch::Sender::new(());
        entries.insert(key.clone(), ActiveClaim { by, held });
        Ok(Claim {
            claims: self.clone(),
            key: key.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobKey, ActiveClaim>> {
        self.0.lock()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Each entry is created with its claim, so this entry belongs to this claim.
        self.claims.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_a_claim_has_it_once_its_holder_lets_go() {
        let claims = Claims::default();
        let key = JobKey::of(&"j".into());
        let first = claims.try_claim(&key).unwrap();
        assert!(claims.try_claim(&key).is_none());
        let second = claims.claim(&key);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(claims.are_with(&key, Claimant::Recovery));
        drop(first);
        let second = second.await;
        assert!(claims.are_with(&key, Claimant::Job));
        drop(second);
        assert!(!claims.is_claimed(&key));
    }

    #[tokio::test]
    async fn whoever_stops_waiting_for_a_claim_leaves_it_to_its_holder_and_to_others() {
        let claims = Claims::default();
        let key = JobKey::of(&"j".into());
        let first = claims.claim(&key).await;
        {
            let second = claims.claim(&key);
            tokio::pin!(second);
            assert!(futures_util::poll!(&mut second).is_pending());
        }
        assert!(claims.try_claim(&key).is_none());
        drop(first);
        assert!(claims.try_claim(&key).is_some());
    }
}
