//! Who in this process is busy with a job's files: a job that was taken, or the delivery of leftovers.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::name::Key;

/// Who claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A job that was taken.
    Job,
    /// The delivery of leftovers.
    Recovery,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<Key, Entry>>>);

/// A job's files are its holder's until this is dropped. Nobody else can end the claim.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(crate) struct Claim {
    claims: Claims,
    key: Key,
}

#[derive(Debug)]
struct Entry {
    by: By,
    /// Closed when the claim ends.
    active_jobs: watch::Sender<()>,
}

impl Claims {
    /// Claims a job's files for the delivery of leftovers, if nobody has.
    pub(super) fn try_claim(&self, key: &Key) -> Option<Claim> {
        self.enter(key, By::Recovery).ok()
    }

    /// Waits until the files of a job that was taken are free and claims them.
    pub(super) async fn claim(&self, key: &Key) -> Claim {
        loop {
            let mut active_jobs = match self.enter(key, By::Job) {
                Ok(claim) => return claim,
                Err(active_jobs) => active_jobs,
            };
            // Nothing is ever sent: it ends in an error when the claim does.
            while active_jobs.changed().await.is_ok() {}
        }
    }

    pub(super) fn are_with(&self, key: &Key, by: By) -> bool {
        self.lock().get(key).is_some_and(|entry| entry.by == by)
    }

    pub(super) fn is_claimed(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// Claims what is free. What it fails with ends when the present claim does.
    fn enter(&self, key: &Key, by: By) -> Result<Claim, watch::Receiver<()>> {
        let mut entries = self.lock();
        if let Some(entry) = entries.get(key) {
            return Err(entry.active_jobs.subscribe());
        }
        let active_jobs = watch::Sender::new(());
        entries.insert(key.clone(), Entry { by, active_jobs });
        Ok(Claim {
            claims: self.clone(),
            key: key.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // An entry is made with its claim and for nobody else's: this is our own.
        self.claims.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_a_claim_has_it_once_its_holder_lets_go() {
        let claims = Claims::default();
        let key = Key::of(&"j".into());
        let first = claims.try_claim(&key).unwrap();
        assert!(claims.try_claim(&key).is_none());
        let second = claims.claim(&key);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(claims.are_with(&key, By::Recovery));
        drop(first);
        let second = second.await;
        assert!(claims.are_with(&key, By::Job));
        drop(second);
        assert!(!claims.is_claimed(&key));
    }

    #[tokio::test]
    async fn whoever_stops_waiting_for_a_claim_leaves_it_to_its_holder_and_to_others() {
        let claims = Claims::default();
        let key = Key::of(&"j".into());
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
