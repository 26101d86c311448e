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

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// The job's files may be looked at again.
    Free,
    /// A result that an earlier process had left was delivered meanwhile.
    Delivered,
}

#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<Key, Claim>>);

#[derive(Debug)]
struct Claim {
    by: By,
    ended: watch::Sender<Option<Release>>,
}

impl Claim {
    fn new(by: By) -> Self {
        Self {
            by,
            ended: watch::Sender::new(None),
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

    /// Waits until the files of a job that was taken are free and claims them. Tells how the claim that was in the way ended.
    pub(super) async fn claim(&self, key: &Key) -> Release {
        let mut last = Release::Free;
        loop {
            let mut ended = {
                let mut claims = self.lock();
                match claims.get(key) {
                    Some(claim) => claim.ended.subscribe(),
                    None => {
                        claims.insert(key.clone(), Claim::new(By::Job));
                        return last;
                    }
                }
            };
            if let Ok(how) = ended.wait_for(Option::is_some).await {
                last = how.unwrap_or(Release::Free);
            }
        }
    }

    pub(super) fn release(&self, key: &Key, by: By, how: Release) {
        let mut claims = self.lock();
        if claims.get(key).is_some_and(|claim| claim.by == by)
            && let Some(claim) = claims.remove(key)
        {
            claim.ended.send_replace(Some(how));
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
    async fn whoever_waits_for_a_claim_hears_how_it_ended() {
        let claims = Claims::default();
        let key = Key::of(&"j".into());
        assert!(claims.try_claim(&key));
        assert!(!claims.try_claim(&key));
        let second = claims.claim(&key);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        claims.release(&key, By::Job, Release::Free);
        assert!(futures_util::poll!(&mut second).is_pending(), "it is not a job's");
        claims.release(&key, By::Recovery, Release::Delivered);
        assert_eq!(second.await, Release::Delivered);
        assert!(claims.is_claimed(&key));
        claims.release(&key, By::Job, Release::Free);
        assert_eq!(claims.claim(&key).await, Release::Free);
    }
}
