//! The jobs of the record, by id, by age and by their last change.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use runpod_protocol::JobId;

use super::job::{JobRecord, What};

/// Most jobs kept; past it the oldest that have ended are dropped.
const MOST_JOBS: usize = 10_000;
/// Most bytes of payloads and lines kept.
const MOST_BYTES: usize = 1024 * 1024 * 1024;
/// Dropped jobs that are remembered, for those who have seen them.
const REMEMBERED: usize = 1000;

/// Versions count the changes of the whole record; each job has that of its last change.
pub(super) type Version = u64;

#[derive(Debug, Default)]
pub(super) struct Jobs {
    by_id: HashMap<JobId, (Version, JobRecord)>,
    by_change: BTreeMap<Version, JobId>,
    by_age: VecDeque<JobId>,
    live: HashSet<JobId>,
    dropped: VecDeque<(Version, JobId)>,
    submitted: u64,
    bytes: usize,
}

impl Jobs {
    pub(super) fn get(&self, id: &str) -> Option<&JobRecord> {
        self.by_id.get(id).map(|(_, job)| job)
    }

    /// Adds to a job what happened to it. An unknown one is new.
    pub(super) fn add(&mut self, version: Version, at: Duration, id: &JobId, what: What) {
        if !self.by_id.contains_key(id) {
            if !matches!(what, What::Submitted { .. }) {
                return;
            }
            self.submitted += 1;
            let job = JobRecord::new(JobId::clone(id), self.submitted, at);
            self.by_id.insert(JobId::clone(id), (0, job));
            self.by_age.push_back(JobId::clone(id));
        }
        if let Some((last, job)) = self.by_id.get_mut(id) {
            self.by_change.remove(last);
            *last = version;
            self.by_change.insert(version, JobId::clone(id));
            let before = job.bytes;
            job.add(at, what);
            if job.status.is_final() {
                self.live.remove(id);
            } else if !self.live.contains(id) {
                self.live.insert(JobId::clone(id));
            }
            self.bytes += job.bytes - before;
        }
        self.make_room(version);
    }

    fn make_room(&mut self, version: Version) {
        let mut looked_at = 0;
        while (self.by_id.len() > MOST_JOBS || self.bytes > MOST_BYTES) && looked_at < self.by_age.len() {
            let Some(oldest) = self.by_age.pop_front() else {
                return;
            };
            if self
                .get(oldest.as_str())
                .is_some_and(|job| !job.status.is_final())
            {
                self.by_age.push_back(oldest);
                looked_at += 1;
                continue;
            }
            if let Some((last, job)) = self.by_id.remove(&oldest) {
                self.by_change.remove(&last);
                self.bytes -= job.bytes;
                if self.dropped.len() == REMEMBERED {
                    self.dropped.pop_front();
                }
                self.dropped.push_back((version, oldest));
            }
        }
    }

    /// The jobs that changed after `version`, in the order of their changes.
    pub(super) fn changed_since(&self, version: Version) -> impl Iterator<Item = &JobRecord> {
        self.by_change
            .range(version + 1..)
            .filter_map(|(_, id)| self.get(id.as_str()))
    }

    /// The jobs dropped after `version`; `None` when not all of them are remembered.
    pub(super) fn dropped_since(&self, version: Version) -> Option<Vec<&JobId>> {
        let forgot = self.dropped.len() == REMEMBERED
            && self.dropped.front().is_some_and(|(oldest, _)| *oldest > version);
        let dropped = self.dropped.iter().filter(|(dropped, _)| *dropped > version);
        (!forgot).then(|| dropped.map(|(_, id)| id).collect())
    }

    /// Those that have not ended.
    pub(super) fn live(&self) -> impl Iterator<Item = &JobRecord> {
        self.live.iter().filter_map(|id| self.get(id.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted() -> What {
        What::Submitted {
            input: "1".into(),
            webhook: None,
            policy: None,
        }
    }

    fn ended() -> What {
        What::Ended {
            status: runpod_protocol::JobStatus::Completed,
            output: None,
            error: None,
        }
    }

    fn changed(jobs: &Jobs, version: Version) -> Vec<&str> {
        jobs.changed_since(version).map(|job| job.id.as_str()).collect()
    }

    #[test]
    fn a_reader_gets_each_job_that_changed_once_in_its_last_state() {
        let mut jobs = Jobs::default();
        let [a, b] = ["a", "b"].map(JobId::from);
        jobs.add(1, Duration::ZERO, &a, submitted());
        jobs.add(2, Duration::ZERO, &b, submitted());
        jobs.add(3, Duration::ZERO, &a, ended());
        assert_eq!(changed(&jobs, 0), ["b", "a"]);
        assert_eq!(changed(&jobs, 2), ["a"]);
        assert_eq!(changed(&jobs, 3), [""; 0]);
    }

    #[test]
    fn past_the_limit_the_oldest_that_has_ended_goes_and_its_readers_hear_of_it() {
        let mut jobs = Jobs::default();
        let id = |number: usize| JobId::from(format!("j{number}"));
        let mut version = 0;
        for number in 0..=MOST_JOBS {
            version += 1;
            jobs.add(version, Duration::ZERO, &id(number), submitted());
            if number == 1 {
                version += 1;
                jobs.add(version, Duration::ZERO, &id(1), ended());
            }
        }
        assert!(jobs.get("j0").is_some(), "it still waits");
        assert!(jobs.get("j1").is_none());
        assert_eq!(jobs.dropped_since(0).unwrap(), [&id(1)]);
        assert!(jobs.dropped_since(version).unwrap().is_empty());
        assert_eq!(jobs.bytes, MOST_JOBS);
    }
}
