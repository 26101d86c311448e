//! A map within a bound of weight, which evicts the entry that was used longest ago.
//!
//! Users are promised both: at most that much memory, and that the least recently used answer goes first. So it is ours:
//! `quick_cache` evicts by a variant of Clock-PRO, and `moka` keeps its bound by best effort.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The entries, and the order in which they were used.
#[derive(Debug)]
pub(super) struct Store<K, V> {
    bound: u64,
    /// Never above `bound`.
    weight: u64,
    entries: HashMap<K, Entry<V>>,
    /// Keys by the time of their last use: the first is evicted next.
    uses: BTreeMap<u64, K>,
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: u64,
    used: u64,
}

impl<K: Copy + Eq + Hash, V> Store<K, V> {
    pub(super) fn new(bound: u64) -> Self {
        Self {
            bound,
            weight: 0,
            entries: HashMap::new(),
            uses: BTreeMap::new(),
            clock: 0,
        }
    }

    /// Looks a value up, which counts as a use.
    pub(super) fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        self.uses.remove(&entry.used);
        self.clock += 1;
        entry.used = self.clock;
        self.uses.insert(self.clock, *key);
        Some(&entry.value)
    }

    /// Stores a value, in place of an older one with that key. A value that is heavier than the bound is not stored.
    pub(super) fn put(&mut self, key: K, value: V, weight: u64) {
        self.remove(&key);
        if weight > self.bound {
            return;
        }
        while self.weight > self.bound - weight
            && let Some((_, oldest)) = self.uses.first_key_value()
        {
            let oldest = *oldest;
            self.remove(&oldest);
        }
        self.clock += 1;
        let used = self.clock;
        self.uses.insert(used, key);
        self.weight += weight;
        let entry = Entry { value, weight, used };
        self.entries.insert(key, entry);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.uses.clear();
        self.weight = 0;
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.uses.remove(&entry.used);
            self.weight -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Get(u8),
        Put(u8, u64),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..8_u8).prop_map(Step::Get),
            6 => (0..8_u8, 0..30_u64).prop_map(|(key, weight)| Step::Put(key, weight)),
            1 => Just(Step::Clear),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        /// The model is a list, of which the front was used longest ago.
        #[test]
        fn what_was_used_last_is_there_as_it_was_put_and_never_more_than_the_bound(
            bound in 0..60_u64, steps in steps(),
        ) {
            let mut store = Store::new(bound);
            let mut model: Vec<(u8, usize, u64)> = Vec::new();
            for (value, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Get(key) => {
                        let place = model.iter().position(|(known, ..)| *known == key);
                        let expected = place.map(|place| model.remove(place));
                        model.extend(expected);
                        prop_assert_eq!(store.get(&key).copied(), expected.map(|(_, value, _)| value));
                    }
                    Step::Put(key, weight) => {
                        store.put(key, value, weight);
                        model.retain(|(known, ..)| *known != key);
                        if weight <= bound {
                            model.push((key, value, weight));
                            while model.iter().map(|(.., weight)| weight).sum::<u64>() > bound {
                                model.remove(0);
                            }
                        }
                    }
                    Step::Clear => {
                        store.clear();
                        model.clear();
                    }
                }
                prop_assert!(store.weight <= bound);
                prop_assert_eq!(store.weight, model.iter().map(|(.., weight)| weight).sum::<u64>());
                let order: Vec<u8> = store.uses.values().copied().collect();
                prop_assert_eq!(order, model.iter().map(|(key, ..)| *key).collect::<Vec<_>>());
                prop_assert_eq!(store.entries.len(), model.len());
                prop_assert_eq!(store.is_empty(), model.is_empty());
            }
        }
    }
}
