//! One endpoint: its store, and everyone who waits for something in it to happen.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::activity::Activities;
use super::clock::Clock;
use super::limits::{Admitted, Class, RateLimits};
use super::settings::EndpointSettings;
use super::store::{Event, Store};
use super::webhook::Outbox;

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) settings: EndpointSettings,
    clock: Clock,
    closing: CancellationToken,
    store: Mutex<Store>,
    /// One permit for every job that came into the queue.
    pub(crate) work: Notify,
    /// Rung when a job changes.
    pub(crate) jobs: Bells,
    /// Rung when a worker has jobs to stop.
    pub(crate) stops: Bells,
    /// The next deadline of the store has come nearer.
    sooner: Notify,
    pub(crate) activities: Activities,
    outbox: Outbox,
    /// Off by default.
    rate_limits: Option<RateLimits>,
}

/// A rate limit is reached.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Endpoint {
    pub(crate) fn new(
        settings: EndpointSettings,
        clock: Clock,
        closing: CancellationToken,
        outbox: Outbox,
    ) -> Self {
        Self {
            rate_limits: settings.rate_limits.then(RateLimits::default),
            clock,
            closing,
            store: Mutex::new(Store::new(settings.clone())),
            settings,
            work: Notify::new(),
            jobs: Bells::default(),
            stops: Bells::default(),
            sooner: Notify::new(),
            activities: outbox.activities().clone(),
            outbox,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Counts a call towards its rate limit, if there is one, for as long as the answer lives.
    pub(crate) fn admit(&self, class: Option<Class>) -> Result<Option<Admitted>, TooMany> {
        match (&self.rate_limits, class) {
            (Some(limits), Some(class)) => limits.admit(class, self.now()).map(Some).ok_or(TooMany),
            _ => Ok(None),
        }
    }

    /// Does something with the store at this moment, then wakes whoever it concerns.
    pub(crate) fn with<T>(&self, action: impl FnOnce(&mut Store, Duration) -> T) -> T {
        let (answer, events, sooner) = {
            let mut store = lock(&self.store);
            // Read under the lock, so that the store never sees time run backwards.
            let now = self.clock.now();
            let before = store.next_deadline();
            let answer = action(&mut store, now);
            let sooner = match (before, store.next_deadline()) {
                (Some(before), Some(after)) => after < before,
                (None, after) => after.is_some(),
                (Some(_), None) => false,
            };
            (answer, store.events(), sooner)
        };
        for event in events {
            match event {
                Event::Queued => self.work.notify_one(),
                Event::Changed(job) => self.jobs.ring(&job),
                Event::Stop(worker) => self.stops.ring(&worker),
                Event::Webhook(job) => self.outbox.put(*job),
            }
        }
        if sooner {
            self.sooner.notify_one();
        }
        answer
    }

    /// Asks now and after every ring of `bell`, until there is an answer, `until` has come or the platform closes.
    pub(crate) async fn wait_for<T>(
        &self,
        bell: &Notify,
        until: Duration,
        mut ask: impl FnMut(&mut Store, Duration) -> Option<T>,
    ) -> Option<T> {
        let mut held = None;
        loop {
            let rung = bell.notified();
            tokio::pin!(rung);
            // Listening before asking: a change in between is not missed.
            rung.as_mut().enable();
            if let Some(answer) = self.with(&mut ask) {
                return Some(answer);
            }
            held.get_or_insert_with(|| self.activities.count(|activity| &mut activity.held));
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return None,
                () = rung => {}
                () = self.clock.sleep_until(until) => return None,
            }
        }
    }

    /// Makes deadlines take effect when they come, so that waiting requests hear of them.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = self.with(|store, now| {
                store.advance(now);
                store.next_deadline()
            });
            let deadline = async {
                match next {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.sooner.notified() => {}
                () = deadline => {}
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// Wake-ups by id. An id costs memory only while somebody listens.
#[derive(Debug, Default)]
pub(crate) struct Bells(Mutex<HashMap<Arc<str>, Arc<Notify>>>);

/// A listener's hold on one bell.
#[derive(Debug)]
pub(crate) struct Bell<'a> {
    bells: &'a Bells,
    id: Arc<str>,
    notify: Arc<Notify>,
}

impl Bells {
    pub(crate) fn listen(&self, id: &Arc<str>) -> Bell<'_> {
        let notify = Arc::clone(lock(&self.0).entry(Arc::clone(id)).or_default());
        Bell {
            bells: self,
            id: Arc::clone(id),
            notify,
        }
    }

    fn ring(&self, id: &str) {
        // Under the lock: a copy taken out of it would look like one more listener to `Bell::drop`.
        if let Some(bell) = lock(&self.0).get(id) {
            bell.notify_waiters();
        }
    }
}

impl std::ops::Deref for Bell<'_> {
    type Target = Notify;

    fn deref(&self) -> &Notify {
        &self.notify
    }
}

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        let mut bells = lock(&self.bells.0);
        // The map's and this one: nobody else listens.
        if Arc::strong_count(&self.notify) == 2 {
            bells.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bell_wakes_its_listeners_and_is_forgotten_with_the_last() {
        let (bells, id) = (Bells::default(), Arc::from("job"));
        let (first, second) = (bells.listen(&id), bells.listen(&id));
        let (one, other) = (first.notified(), second.notified());
        bells.ring("another job");
        bells.ring("job");
        tokio::join!(one, other);
        drop(first);
        assert_eq!(lock(&bells.0).len(), 1);
        drop(second);
        assert_eq!(lock(&bells.0).len(), 0);
    }
}
