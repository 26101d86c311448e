//! The slots of a worker: how many jobs may run at once, changeable while they run.

use runpod_protocol::sync::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use crate::settings::Concurrency;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A slot for each job that may run. Waits for a slot are served in order.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    /// The limit, and the excess that is removed as slots are dropped.
    size: Arc<Mutex<SlotLimit>>,
    queue: Arc<WaitQueue>,
}

/// The queue of jobs that wait for a slot.
#[derive(Debug, Default)]
struct WaitQueue {
    length: AtomicUsize,
    /// Notified when a job leaves the queue.
    shorter: Notify,
}

/// An entry in the queue. Dropping it leaves the queue.
#[derive(Debug)]
struct QueueEntry(Arc<WaitQueue>);

impl Drop for QueueEntry {
    fn drop(&mut self) {
        self.0.length.fetch_sub(1, Ordering::AcqRel);
        self.0.shorter.notify_waiters();
    }
}

#[derive(Debug)]
struct SlotLimit {
    limit: usize,
    excess: usize,
}

/// The right to run one job. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    size: Arc<Mutex<SlotLimit>>,
}

impl Slots {
    pub(crate) fn new(limit: NonZeroUsize) -> Self {
        let limit = limit.get().min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(limit)),
            size: Arc::new(Mutex::new(SlotLimit { limit, excess: 0 })),
            queue: Arc::default(),
        }
    }

    /// As many slots as `concurrency` allows now.
    pub(crate) fn of(concurrency: &Concurrency) -> Self {
        Self::new(*concurrency.changes().borrow())
    }

    /// Waits for a free slot.
    pub(crate) async fn one(&self) -> Slot {
        match self.free.clone().acquire_owned().await {
            Ok(permit) => self.slot(permit),
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for a free slot, and takes all other free slots with it.
    pub(crate) async fn all_free(&self) -> Vec<Slot> {
        let mut slots = vec![self.one().await];
        slots.append(&mut self.free_now());
        slots
    }

    /// All slots that are free at this moment.
    pub(crate) fn free_now(&self) -> Vec<Slot> {
        std::iter::from_fn(|| self.free.clone().try_acquire_owned().ok())
            .map(|permit| self.slot(permit))
            .collect()
    }

    /// The number of jobs in the queue.
    pub(crate) fn queued(&self) -> usize {
        self.queue.length.load(Ordering::Acquire)
    }

    /// Waits until a job leaves the queue. A job that leaves after this call is not missed, even before the first poll.
    pub(crate) fn queue_changed(&self) -> impl Future<Output = ()> {
        self.queue.shorter.notified()
    }

    /// Queues for a slot at once, ahead of all later requests. Dropping the future leaves the queue.
    pub(crate) async fn queue(&self) -> BoxFuture<'static, Slot> {
        let slots = self.clone();
        self.queue.length.fetch_add(1, Ordering::AcqRel);
        let queue_entry = QueueEntry(self.queue.clone());
        let mut waiting: BoxFuture<'static, Slot> = Box::pin(async move {
            let _queue_entry = queue_entry;
            slots.one().await
        });
        // The semaphore queues a future at its first poll.
        match futures_util::poll!(&mut waiting) {
            Poll::Ready(slot) => Box::pin(std::future::ready(slot)),
            Poll::Pending => waiting,
        }
    }

    /// Drops the slots that exceed the limit.
    pub(crate) fn give_back_excess(&self, slots: &mut Vec<Slot>) {
        let excess = self.size.lock().excess;
        slots.truncate(slots.len().saturating_sub(excess));
    }

    /// The number of jobs that may run.
    #[cfg(feature = "http-modes")]
    pub(crate) fn limit(&self) -> usize {
        self.size.lock().limit
    }

    /// Changes the number of jobs that may run. A larger limit takes effect at once, a smaller one as running jobs end.
    /// Returns whether the limit has changed.
    pub(crate) fn resize(&self, limit: NonZeroUsize) -> bool {
        let limit = limit.get().min(Semaphore::MAX_PERMITS);
        let mut size = self.size.lock();
        if limit > size.limit {
            let more = limit - size.limit;
            let forgiven = more.min(size.excess);
            size.excess -= forgiven;
            self.free.add_permits(more - forgiven);
        } else {
            let fewer = size.limit - limit;
            size.excess += fewer - self.free.forget_permits(fewer);
        }
        std::mem::replace(&mut size.limit, limit) != limit
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
        let mut size = self.size.lock();
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
    async fn growing_serves_waiting_jobs_at_once() {
        let slots = Slots::new(limit(1));
        let first = slots.all_free().await;
        assert_eq!(first.len(), 1);
        slots.resize(limit(3));
        assert_eq!(slots.all_free().await.len(), 2);
    }

    #[tokio::test]
    async fn a_job_that_waits_for_a_slot_is_counted_until_served_or_gone() {
        let slots = Slots::new(limit(1));
        assert_eq!(slots.queue().await.await.permit.iter().len(), 1);
        assert_eq!(slots.queued(), 0, "a slot was free");
        let taken = slots.one().await;
        let (first, second) = (slots.queue().await, slots.queue().await);
        assert_eq!(slots.queued(), 2);
        let left = slots.queue_changed();
        drop(second);
        left.await;
        assert_eq!(slots.queued(), 1);
        drop(taken);
        let _served = first.await;
        assert_eq!(slots.queued(), 0);
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
                if running.len() <= slots.size.lock().limit {
                    now = slots.size.lock().limit;
                }
            }
            running.clear();
            prop_assert_eq!(slots.free.available_permits(), slots.size.lock().limit);
        }
    }
}
