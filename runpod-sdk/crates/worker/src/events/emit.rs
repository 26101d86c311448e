//! Calls the listeners of an event.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Level, debug, enabled, error};

use super::WorkerEvent;
use crate::platform::PlatformError;

const TARGET: &str = "runpod_sdk::events";

/// The listeners of one worker. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Events {
    listeners: Vec<Arc<Listener>>,
}

struct Listener {
    call: Box<dyn Fn(&WorkerEvent) + Send + Sync>,
    /// Set when it has panicked; it is not called again.
    broken: AtomicBool,
}

impl Events {
    pub(crate) fn listen(&mut self, listener: impl Fn(&WorkerEvent) + Send + Sync + 'static) {
        self.listeners.push(Arc::new(Listener {
            call: Box::new(listener),
            broken: AtomicBool::new(false),
        }));
    }

    /// Calls all listeners. The event is made only if it is listened to or logged.
    pub(crate) fn emit(&self, event: impl FnOnce() -> WorkerEvent) {
        let logged = enabled!(target: TARGET, Level::DEBUG);
        if self.listeners.is_empty() && !logged {
            return;
        }
        let event = event();
        if logged {
            debug!(target: TARGET, "{event}");
        }
        for listener in &self.listeners {
            listener.notify(&event);
        }
    }

    /// Emits the failure of a request to the platform.
    pub(crate) fn request_failed(&self, error: &PlatformError) {
        if let Some(operation) = error.operation() {
            self.emit(|| WorkerEvent::RequestFailed {
                operation,
                status: error.status(),
                reason: error.to_string(),
            });
        }
    }
}

impl Listener {
    /// Calls the listener. It is the program's own code, called from within the runtime, so a panic is caught.
    fn notify(&self, event: &WorkerEvent) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| (self.call)(event))).is_err() {
            self.broken.store(true, Ordering::Relaxed);
            error!("a listener for worker events panicked and hears no more: {event}");
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("listeners", &self.listeners.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn ready() -> WorkerEvent {
        WorkerEvent::Ready
    }

    #[test]
    fn without_listeners_no_event_is_made() {
        Events::default().emit(|| panic!("there is no listener"));
    }

    #[test]
    fn a_listener_that_panics_is_not_called_again_and_the_others_are() {
        let (first, second) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut events = Events::default();
        let calls = first.clone();
        events.listen(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            panic!("cannot count");
        });
        let calls = second.clone();
        events.listen(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
        });
        events.emit(ready);
        events.emit(ready);
        assert_eq!(first.load(Ordering::Relaxed), 1);
        assert_eq!(second.load(Ordering::Relaxed), 2);
    }
}
