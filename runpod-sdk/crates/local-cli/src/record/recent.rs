//! The latest of a series whose entries are numbered from its beginning.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Recent<T> {
    kept: VecDeque<T>,
    dropped: usize,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            dropped: 0,
        }
    }
}

impl<T: Clone> Recent<T> {
    /// Adds an entry and drops the oldest beyond `most`.
    pub(super) fn push(&mut self, entry: T, most: usize) {
        if self.kept.len() == most {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(entry);
    }

    /// The entries kept from number `from` on, and the number of the next one.
    pub(super) fn since(&self, from: usize) -> (Vec<T>, usize) {
        let skipped = from.saturating_sub(self.dropped);
        let new = self.kept.iter().skip(skipped).cloned().collect();
        (new, self.dropped + self.kept.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_was_slow_misses_the_oldest_and_reads_on_in_order() {
        let mut recent = Recent::default();
        (0..5).for_each(|number| recent.push(number, 3));
        assert_eq!(recent.since(0), (vec![2, 3, 4], 5));
        assert_eq!(recent.since(4), (vec![4], 5));
        assert_eq!(recent.since(5), (vec![], 5));
    }
}
