//! Wake-ups by key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use runpod_protocol::sync::Mutex;
use tokio::sync::Notify;

/// One [`Notify`] for each key. A key costs memory only while something listens for it.
#[derive(Debug)]
pub(crate) struct KeyedNotify<K>(Mutex<HashMap<K, Arc<Notify>>>);

/// A listener for one key; derefs to the key's [`Notify`].
#[derive(Debug)]
pub(crate) struct Listener<'a, K: Hash + Eq> {
    all: &'a KeyedNotify<K>,
    key: K,
    notify: Arc<Notify>,
}

impl<K: Hash + Eq + Clone> KeyedNotify<K> {
    pub(crate) fn listen(&self, key: &K) -> Listener<'_, K> {
        let notify = Arc::clone(self.0.lock().entry(key.clone()).or_default());
        Listener {
            all: self,
            key: key.clone(),
            notify,
        }
    }

    /// Wakes the key's listeners.
    pub(crate) fn notify(&self, key: &K) {
        // Under the lock: a copy taken out of it would look like one more listener to `Listener::drop`.
        if let Some(notify) = self.0.lock().get(key) {
            notify.notify_waiters();
        }
    }
}

impl<K> Default for KeyedNotify<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq> std::ops::Deref for Listener<'_, K> {
    type Target = Notify;

    fn deref(&self) -> &Notify {
        &self.notify
    }
}

impl<K: Hash + Eq> Drop for Listener<'_, K> {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        // The map's and this one: no other listener is left.
        if Arc::strong_count(&self.notify) == 2 {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_notification_wakes_its_listeners_and_its_key_is_forgotten_with_the_last() {
        let notify = KeyedNotify::default();
        let (first, second) = (notify.listen(&"job"), notify.listen(&"job"));
        let (one, other) = (first.notified(), second.notified());
        notify.notify(&"another job");
        notify.notify(&"job");
        tokio::join!(one, other);
        drop(first);
        assert_eq!(notify.0.lock().len(), 1);
        drop(second);
        assert_eq!(notify.0.lock().len(), 0);
    }
}
