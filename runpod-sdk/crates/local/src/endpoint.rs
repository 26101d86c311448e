//! One endpoint: its store, its clock, and the requests that wait for a change in the store.

use std::time::Duration;

use runpod_protocol::JobId;
use runpod_protocol::sync::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::activity::ActivityWatch;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::keyed_notify::KeyedNotify;
use crate::observed::Observer;
use crate::rate_limits::{Admitted, OperationClass, RateLimits};
use crate::settings::EndpointSettings;
use crate::store::{Event, Store, WorkerId};
use crate::webhook::WebhookQueue;

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) settings: EndpointSettings,
    clock: Clock,
    closing: CancellationToken,
    store: Mutex<Store>,
    /// One permit for every job that came into the queue.
    pub(crate) work: Notify,
    /// Notified when a job changes.
    pub(crate) jobs: KeyedNotify<JobId>,
    /// Notified when a worker has jobs to stop.
    pub(crate) stops: KeyedNotify<WorkerId>,
    /// The next deadline of the store has come nearer.
    sooner: Notify,
    pub(crate) activity: ActivityWatch,
    webhooks: WebhookQueue,
    observer: Option<(String, Observer)>,
    pub(crate) faults: Faults,
    rate_limits: Option<RateLimits>,
}

/// A rate limit is reached.
#[derive(Debug)]
pub(crate) struct RateLimited;

impl Endpoint {
    pub(crate) fn new(
        settings: EndpointSettings,
        clock: Clock,
        closing: CancellationToken,
        webhooks: WebhookQueue,
        observer: Option<(String, Observer)>,
    ) -> Self {
        let mut store = Store::new(settings.clone());
        if observer.is_some() {
            store.observations.switch_on();
        }
        Self {
            rate_limits: settings.rate_limits.then(RateLimits::default),
            clock,
            closing,
            store: Mutex::new(store),
            settings,
            work: Notify::new(),
            jobs: KeyedNotify::default(),
            stops: KeyedNotify::default(),
            sooner: Notify::new(),
            activity: webhooks.activity().clone(),
            webhooks,
            observer,
            faults: Faults::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Returns after `span` has passed, or at once when the platform closes.
    pub(crate) async fn pause(&self, span: Duration) {
        tokio::select! {
            () = self.closing.cancelled() => {}
            () = self.clock.sleep(span) => {}
        }
    }

    /// Counts a call towards its rate limit, if there is one, for as long as the answer lives.
    pub(crate) fn admit(&self, class: Option<OperationClass>) -> Result<Option<Admitted>, RateLimited> {
        match (&self.rate_limits, class) {
            (Some(limits), Some(class)) => limits.admit(class, self.now()).map(Some).ok_or(RateLimited),
            _ => Ok(None),
        }
    }

    /// Does `action` with the store at this moment, then acts on the events: wakes waiting requests, queues webhooks.
    pub(crate) fn with<T>(&self, action: impl FnOnce(&mut Store, Duration) -> T) -> T {
        let (answer, events, sooner) = {
            let mut store = self.store.lock();
            // Read under the lock, so that the store never sees time run backwards.
            let now = self.clock.now();
            let before = store.next_deadline();
            let answer = action(&mut store, now);
            let sooner = match (before, store.next_deadline()) {
                (Some(before), Some(after)) => after < before,
                (None, after) => after.is_some(),
                (Some(_), None) => false,
            };
            if let Some((endpoint, observer)) = &self.observer {
                // Under the lock: the order is that in which it happened.
                for observed in store.observations.take() {
                    observer.call(endpoint, observed);
                }
            }
            (answer, store.events(), sooner)
        };
        for event in events {
            match event {
                Event::Queued => self.work.notify_one(),
                Event::Changed(job) => self.jobs.notify(&job),
                Event::Stop(worker) => self.stops.notify(&worker),
                Event::Webhook(job) => self.webhooks.put(*job),
            }
        }
        if sooner {
            self.sooner.notify_one();
        }
        answer
    }

    /// Asks now and after every notification of `changed`, until there is an answer, `until` has come or the platform
    /// closes.
    pub(crate) async fn wait_for<T>(
        &self,
        changed: &Notify,
        until: Duration,
        mut ask: impl FnMut(&mut Store, Duration) -> Option<T>,
    ) -> Option<T> {
        let mut held = None;
        loop {
            let notified = changed.notified();
            tokio::pin!(notified);
            // Listening before asking: a change in between is not missed.
            notified.as_mut().enable();
            if let Some(answer) = self.with(&mut ask) {
                return Some(answer);
            }
            held.get_or_insert_with(|| self.activity.count(|activity| &mut activity.held));
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return None,
                () = notified => {}
                () = self.clock.sleep_until(until) => return None,
            }
        }
    }

    /// Makes deadlines take effect when they come, so that waiting requests are woken.
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
