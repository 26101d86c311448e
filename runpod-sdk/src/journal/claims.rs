//! Who in this process is busy with a job's files: a job that was taken, or the delivery of leftovers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<Key, Claim>>);

#[derive(Debug)]
struct Claim {
    by: By,
    /// Closed when the claim ends.
    held: watch::Sender<()>,
}

impl Claim {
    fn new(by: By) -> Self {
        Self {
            by,
            held: watch::Sender::new(()),
        }
    }
}

impl Claims {
    /// Claims a job's files for the delivery of leftovers, if nobody has.
    pub(super) fn try_claim(&self, key: &Key) -> bool {
        let mut claims = self.lock();
        let free = !claims.contains_key(key);
        if free {
            claims.insert(key.clone(), Claim::new(By::Recovery));
        }
        free
    }

    /// Waits until the files of a job that was taken are free and claims them.
    pub(super) async fn claim(&self, key: &Key) {
        loop {
            let mut held = {
                let mut claims = self.lock();
                match claims.get(key) {
                    Some(claim) => claim.held.subscribe(),
                    None => {
                        claims.insert(key.clone(), Claim::new(By::Job));
                        return;
                    }
                }
            };
            // Nothing is ever sent: it ends in an error when the claim does.
            while held.changed().await.is_ok() {}
        }
    }

    pub(super) fn release(&self, key: &Key, by: By) {
        let mut claims = self.lock();
        if claims.get(key).is_some_and(|claim| claim.by == by) {
            claims.remove(key);
        }
    }

    pub(super) fn are_with(&self, key: &Key, by: By) -> bool {
        self.lock().get(key).is_some_and(|claim| claim.by == by)
    }

    pub(super) fn is_claimed(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_a_claim_has_it_once_its_holder_lets_go() {
        let claims = Claims::default();
        let key = Key::of(&"j".into());
        assert!(claims.try_claim(&key));
        assert!(!claims.try_claim(&key));
        let second = claims.claim(&key);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        claims.release(&key, By::Job);
        assert!(futures_util::poll!(&mut second).is_pending(), "it is not a job's");
        claims.release(&key, By::Recovery);
        second.await;
        assert!(claims.are_with(&key, By::Job));
        claims.release(&key, By::Job);
        assert!(!claims.is_claimed(&key));
    }
}
