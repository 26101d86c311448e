//! What an endpoint is busy with, so that a test can wait for it.

use std::sync::Arc;

use tokio::sync::watch;

/// What one endpoint is busy with at a moment. See [`LocalPlatform::until`](crate::LocalPlatform::until).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// Requests held open: takes and stop polls, `/runsync`, `/status-sync` and `/stream`.
    pub held: usize,
    /// Webhooks being posted or waiting for their next try.
    pub webhooks_under_way: usize,
    /// Those of them that wait for their next try.
    pub webhooks_waiting: usize,
    /// Webhooks delivered so far.
    pub webhooks_delivered: u64,
    /// Webhooks given up so far, after their last try or because too many were under way.
    pub webhooks_given_up: u64,
}

/// The [`Activity`] of an endpoint, shared and watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActivityWatch(Arc<watch::Sender<Activity>>);

impl ActivityWatch {
    pub(crate) fn change(&self, change: impl FnOnce(&mut Activity)) {
        self.0.send_modify(change);
    }

    /// Counts one more of something for as long as the answer lives.
    pub(crate) fn count(&self, field: fn(&mut Activity) -> &mut usize) -> ActivityGuard {
        self.change(|activity| *field(activity) += 1);
        ActivityGuard {
            watch: self.clone(),
            field,
        }
    }

    pub(crate) async fn until(&self, wanted: impl FnMut(&Activity) -> bool) -> Activity {
        // The guard goes before anything else is waited for, so that tasks on any thread may wait here.
        let activity = self
            .0
            .subscribe()
            .wait_for(wanted)
            .await
            .map(|activity| *activity);
        match activity {
            Ok(activity) => activity,
            // The sender lives as long as `self`.
            Err(_) => std::future::pending().await,
        }
    }
}

/// One of something counted in an [`Activity`].
#[derive(Debug)]
pub(crate) struct ActivityGuard {
    watch: ActivityWatch,
    field: fn(&mut Activity) -> &mut usize,
}

impl Drop for ActivityGuard {
    fn drop(&mut self) {
        let field = self.field;
        self.watch.change(|activity| *field(activity) -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_of_its_own_may_wait_for_an_activity() {
        let activities = ActivityWatch::default();
        let waiting = activities.clone();
        // A spawned task must be able to move between threads.
        let waiter = tokio::spawn(async move { waiting.until(|activity| activity.held == 1).await });
        let counted = activities.count(|activity| &mut activity.held);
        assert_eq!(waiter.await.unwrap().held, 1);
        drop(counted);
    }
}
