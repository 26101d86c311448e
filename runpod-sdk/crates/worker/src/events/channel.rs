//! A channel of events. The worker never waits for its reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::WorkerEvent;

/// A listener for [`Worker::on_event`](crate::Worker::on_event) and the end from which its events are read.
///
/// At most `capacity` events wait to be read (0 counts as 1). Further events are
/// dropped and counted: see [`EventReceiver::missed`].
///
/// ```
/// use runpod_sdk::events::{WorkerEvent, channel};
/// use runpod_sdk::{JobError, Worker};
///
/// let (listener, mut events) = channel(256);
/// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).on_event(listener);
/// let watch = async move {
///     while let Some(event) = events.next().await {
///         println!("{event}");
///     }
/// };
/// ```
pub fn channel(capacity: usize) -> (impl Fn(&WorkerEvent) + Send + Sync + 'static, EventReceiver) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let missed = Arc::new(AtomicU64::new(0));
    let counter = missed.clone();
    let listener = move |event: &WorkerEvent| {
        // The event is cloned only if there is room for it.
        match sender.try_reserve() {
            Ok(permit) => permit.send(event.clone()),
            Err(TrySendError::Full(())) => {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            // The reader is gone.
            Err(TrySendError::Closed(())) => {}
        }
    };
    (listener, EventReceiver { receiver, missed })
}

/// The receiving end of a [`channel`] of events.
#[derive(Debug)]
pub struct EventReceiver {
    receiver: mpsc::Receiver<WorkerEvent>,
    missed: Arc<AtomicU64>,
}

impl EventReceiver {
    /// Waits for the next event. `None` when the worker is gone and every event has been read.
    pub async fn next(&mut self) -> Option<WorkerEvent> {
        self.receiver.recv().await
    }

    /// The next event, if one waits.
    pub fn try_next(&mut self) -> Option<WorkerEvent> {
        self.receiver.try_recv().ok()
    }

    /// The number of events that were dropped so far because the channel was full.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_misses_events_and_learns_how_many() {
        let (listener, mut events) = channel(2);
        for slots in 1..=5 {
            listener(&WorkerEvent::SlotsChanged { slots });
        }
        assert_eq!(events.missed(), 3);
        drop(listener);
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            seen.push(event.to_string());
        }
        assert_eq!(seen, ["slots changed: slots=1", "slots changed: slots=2"]);
    }

    #[test]
    fn a_reader_that_is_gone_does_no_harm() {
        let (listener, events) = channel(1);
        drop(events);
        listener(&WorkerEvent::Ready);
    }
}
