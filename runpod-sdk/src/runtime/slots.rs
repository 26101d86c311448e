//! How many jobs may run at once, changeable while they run.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A slot for each job that may run. Whoever waits for one is served in order.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    /// `excess` slots are to disappear as they come back.
    size: Arc<Mutex<Size>>,
}

#[derive(Debug)]
struct Size {
    limit: usize,
    excess: usize,
}

/// The right to run one job. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    size: Arc<Mutex<Size>>,
}

impl Slots {
    pub(crate) fn new(limit: NonZeroUsize) -> Self {
        let limit = limit.get().min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(limit)),
            size: Arc::new(Mutex::new(Size { limit, excess: 0 })),
        }
    }

    /// Waits for a free slot.
    pub(crate) async fn one(&self) -> Slot {
        match self.free.clone().acquire_owned().await {
            Ok(permit) => self.slot(permit),
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for a free slot and takes all the others that are free, too.
    pub(crate) async fn all_free(&self) -> Vec<Slot> {
        let mut slots = vec![self.one().await];
        while let Ok(permit) = self.free.clone().try_acquire_owned() {
            slots.push(self.slot(permit));
        }
        slots
    }

    /// Takes a place in the queue for a slot at once, ahead of all who ask later.
    pub(crate) async fn queue(&self) -> BoxFuture<'static, Slot> {
        let slots = self.clone();
        let mut place: BoxFuture<'static, Slot> = Box::pin(async move { slots.one().await });
        // The semaphore queues whoever has been polled once.
        match futures_util::poll!(&mut place) {
            Poll::Ready(slot) => Box::pin(std::future::ready(slot)),
            Poll::Pending => place,
        }
    }

    /// Drops as many of `slots` as a smaller limit has made superfluous.
    pub(crate) fn give_back_excess(&self, slots: &mut Vec<Slot>) {
        let excess = self.size.lock().unwrap_or_else(PoisonError::into_inner).excess;
        slots.truncate(slots.len().saturating_sub(excess));
    }

    /// Changes how many jobs may run. More: at once. Fewer: as running jobs end.
    pub(crate) fn resize(&self, limit: NonZeroUsize) {
        let limit = limit.get().min(Semaphore::MAX_PERMITS);
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if limit > size.limit {
            let more = limit - size.limit;
            let forgiven = more.min(size.excess);
            size.excess -= forgiven;
            self.free.add_permits(more - forgiven);
        } else {
            let fewer = size.limit - limit;
            size.excess += fewer - self.free.forget_permits(fewer);
        }
        size.limit = limit;
    }

    fn slot(&self, permit: OwnedSemaphorePermit) -> Slot {
        Slot {
            permit: Some(permit),
            size: self.size.clone(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if size.excess > 0
            && let Some(permit) = self.permit.take()
        {
            size.excess -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).unwrap()
    }

    #[tokio::test]
    async fn growing_serves_those_who_wait_at_once() {
        let slots = Slots::new(limit(1));
        let first = slots.all_free().await;
        assert_eq!(first.len(), 1);
        slots.resize(limit(3));
        assert_eq!(slots.all_free().await.len(), 2);
    }

    #[tokio::test]
    async fn shrinking_waits_for_running_jobs() {
        let slots = Slots::new(limit(3));
        let mut running = slots.all_free().await;
        slots.resize(limit(1));
        running.pop();
        running.pop();
        assert_eq!(slots.free.available_permits(), 0);
        running.pop();
        assert_eq!(slots.free.available_permits(), 1);
    }

    proptest! {
        #[test]
        fn never_more_slots_than_the_limit_once_running_jobs_have_ended(
            steps in prop::collection::vec((0_u8..3, 1_usize..6), 1..60)
        ) {
            let slots = Slots::new(limit(2));
            let mut running = Vec::new();
            let mut now = 2;
            for (step, size) in steps {
                match step {
                    0 => if let Ok(permit) = slots.free.clone().try_acquire_owned() {
                        running.push(slots.slot(permit));
                        prop_assert!(running.len() <= now);
                    },
                    1 => { running.pop(); }
                    _ => {
                        slots.resize(limit(size));
                        // Jobs that already run may exceed a smaller limit until they end.
                        now = size.max(running.len());
                    }
                }
                if running.len() <= slots.size.lock().unwrap().limit {
                    now = slots.size.lock().unwrap().limit;
                }
            }
            running.clear();
            prop_assert_eq!(slots.free.available_permits(), slots.size.lock().unwrap().limit);
        }
    }
}
