//! Which of the waiting jobs are rendered next. It is pure.

/// The jobs that are rendered next, by their places in the queue: the one that has waited longest, and those that may
/// share its batch, in order of arrival. `keys` are those of the waiting jobs, in order of arrival; jobs with equal keys may
/// share a batch. Empty if none waits.
///
/// Since the oldest is always among them, no job waits for more than the renders of those before it.
pub(super) fn next_batch<K: PartialEq>(keys: &[K], limit: usize) -> Vec<usize> {
    let Some(oldest) = keys.first() else {
        return Vec::new();
    };
    let sharing = keys.iter().enumerate().filter(|(_, key)| *key == oldest);
    sharing.map(|(place, _)| place).take(limit.max(1)).collect()
}

/// A batch that failed, as the two that are rendered instead. The first has the larger half.
pub(super) fn halves<T>(mut batch: Vec<T>) -> (Vec<T>, Vec<T>) {
    let second = batch.split_off(batch.len().div_ceil(2));
    (batch, second)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_batch_has_the_oldest_and_only_those_that_may_share_with_it(
            keys in prop::collection::vec(0..4_u16, 0..20),
            limit in 0..10_usize,
        ) {
            let batch = next_batch(&keys, limit);
            prop_assert_eq!(batch.is_empty(), keys.is_empty());
            prop_assert!(batch.len() <= limit.max(1));
            prop_assert_eq!(batch.first(), if keys.is_empty() { None } else { Some(&0) });
            prop_assert!(batch.is_sorted());
            prop_assert!(batch.iter().all(|place| keys[*place] == keys[0]));
            // None that came earlier is passed over for one that came later.
            let sharing = keys.iter().filter(|key| **key == keys[0]).count();
            prop_assert_eq!(batch.len(), sharing.min(limit.max(1)));
        }

        #[test]
        fn no_job_waits_for_more_renders_than_jobs_were_before_it(
            keys in prop::collection::vec(0..4_u16, 1..30),
            limit in 1..8_usize,
        ) {
            let mut waiting: VecDeque<(usize, u16)> = keys.into_iter().enumerate().collect();
            let mut renders = 0;
            while !waiting.is_empty() {
                let keys: Vec<u16> = waiting.iter().map(|(_, key)| *key).collect();
                let batch = next_batch(&keys, limit);
                for place in batch.iter().rev() {
                    let (arrived, _) = waiting.remove(*place).unwrap();
                    prop_assert!(renders <= arrived, "job {arrived} waited for {renders} renders");
                }
                renders += 1;
            }
        }

        #[test]
        fn halving_ends_with_each_job_alone_and_loses_none(jobs in 1..40_usize) {
            let mut parts = vec![(0..jobs).collect::<Vec<_>>()];
            let (mut alone, mut renders) = (Vec::new(), 0);
            while let Some(part) = parts.pop() {
                renders += 1;
                if let [job] = part[..] {
                    alone.push(job);
                    continue;
                }
                let (first, second) = halves(part);
                prop_assert!(!first.is_empty() && !second.is_empty());
                prop_assert!(first.len() - second.len() <= 1);
                parts.extend([second, first]);
            }
            prop_assert_eq!(alone, (0..jobs).collect::<Vec<_>>());
            prop_assert_eq!(renders, 2 * jobs - 1);
        }
    }
}
