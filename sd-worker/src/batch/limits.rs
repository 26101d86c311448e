//! How many jobs fit into one batch. What the GPU's memory has room for is learned from failures.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// The sizes that are remembered. Beyond them all are forgotten and learned anew.
const MOST_SIZES: usize = 256;

/// The limits of batches, by the size of their pictures and their checkpoint.
#[derive(Debug)]
pub(super) struct Limits {
    most: AtomicUsize,
    learned: Mutex<HashMap<String, usize>>,
}

impl Limits {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: AtomicUsize::new(most),
            learned: Mutex::default(),
        }
    }

    /// The most jobs in a batch of this size.
    pub(super) fn of(&self, size: &str) -> usize {
        let most = self.most.load(Ordering::Relaxed);
        self.learned
            .lock()
            .get(size)
            .map_or(most, |learned| most.min(*learned))
    }

    /// No batch has more than one job from now on.
    pub(super) fn turn_off(&self) {
        self.most.store(1, Ordering::Relaxed);
    }

    /// A batch of this many jobs ran out of memory. Returns the limit from now on.
    pub(super) fn ran_out_of_memory(&self, size: &str, jobs: usize) -> usize {
        let limit = (jobs / 2).max(1);
        let mut learned = self.learned.lock();
        if learned.len() >= MOST_SIZES && !learned.contains_key(size) {
            learned.clear();
        }
        let known = learned.entry(size.to_owned()).or_insert(limit);
        *known = limit.min(*known);
        *known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_learned_for_its_size_and_only_falls() {
        let limits = Limits::new(8);
        assert_eq!(limits.ran_out_of_memory("large", 8), 4);
        assert_eq!(limits.ran_out_of_memory("large", 3), 1);
        assert_eq!(limits.ran_out_of_memory("large", 8), 1);
        assert_eq!((limits.of("large"), limits.of("small")), (1, 8));
        limits.turn_off();
        assert_eq!((limits.of("large"), limits.of("small")), (1, 1));
    }

    #[test]
    fn only_so_many_sizes_are_remembered() {
        let limits = Limits::new(8);
        for number in 0..=MOST_SIZES {
            limits.ran_out_of_memory(&number.to_string(), 8);
        }
        assert_eq!(limits.learned.lock().len(), 1);
    }
}
