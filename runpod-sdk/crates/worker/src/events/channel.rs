//! Events for a reader with a pace of its own. However slow it is, the worker does not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::WorkerEvent;

/// A listener for [`Worker::on_event`](crate::Worker::on_event) and the end from which its events are read.
///
/// At most `capacity` events wait to be read (0 counts as 1). Events that come while so many wait are
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
        // The event is copied only where there is room for it.
        match sender.try_reserve() {
            Ok(place) => place.send(event.clone()),
            Err(TrySendError::Full(())) => {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            // Nobody reads any more.
            Err(TrySendError::Closed(())) => {}
        }
    };
    (listener, EventReceiver { receiver, missed })
}

/// Where the events of a [`channel`] are read.
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

    /// The next event, if one is here already.
    pub fn try_next(&mut self) -> Option<WorkerEvent> {
        self.receiver.try_recv().ok()
    }

    /// How many events have been dropped so far because too many waited to be read.
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
    fn a_reader_that_is_gone_hurts_nobody() {
        let (listener, events) = channel(1);
        drop(events);
        listener(&WorkerEvent::Ready);
    }
}
