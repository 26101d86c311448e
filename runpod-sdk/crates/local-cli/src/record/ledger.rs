//! What the workers' seconds were spent on.

use std::collections::HashMap;
use std::time::Duration;

use runpod_protocol::{JobId, JobStatus};
use serde::Serialize;

/// Seconds of workers, by what they were spent on. A worker with several jobs divides its time among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Seconds {
    /// From the start of a process to its first question for a job.
    pub(crate) start: f64,
    /// Without a job.
    pub(crate) idle: f64,
    /// On jobs that completed.
    pub(crate) useful: f64,
    /// On jobs that failed, timed out, or whose worker was lost.
    pub(crate) failed: f64,
    /// On jobs that were cancelled.
    pub(crate) cancelled: f64,
    /// On jobs that another worker delivered.
    pub(crate) duplicate: f64,
    /// On jobs that still run.
    pub(crate) running: f64,
}

/// Counts each worker's time from its start to its end.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    workers: HashMap<String, Meter>,
    spent: Seconds,
}

#[derive(Debug)]
struct Meter {
    /// Up to when its time is counted.
    counted: Duration,
    ready: bool,
    /// This command started it. Of other workers only the time with jobs is known.
    ours: bool,
    jobs: Vec<(JobId, f64)>,
}

impl Meter {
    fn count(&mut self, now: Duration, spent: &mut Seconds) {
        let seconds = now.saturating_sub(self.counted).as_secs_f64();
        self.counted = now;
        #[expect(clippy::cast_precision_loss, reason = "a worker has few jobs")]
        let share = seconds / self.jobs.len() as f64;
        for (_, seconds) in &mut self.jobs {
            *seconds += share;
        }
        if self.jobs.is_empty() && self.ours {
            *(if self.ready {
                &mut spent.idle
            } else {
                &mut spent.start
            }) += seconds;
        }
    }
}

impl Ledger {
    pub(super) fn started(&mut self, now: Duration, worker: &str) {
        self.ended(now, worker);
        let meter = Meter {
            counted: now,
            ready: false,
            ours: true,
            jobs: Vec::new(),
        };
        self.workers.insert(worker.to_owned(), meter);
    }

    pub(super) fn asked(&mut self, now: Duration, worker: &str) {
        if let Some(meter) = self.workers.get_mut(worker)
            && !meter.ready
        {
            meter.count(now, &mut self.spent);
            meter.ready = true;
        }
    }

    pub(super) fn took(&mut self, now: Duration, worker: &str, job: &JobId) {
        let meter = self.workers.entry(worker.to_owned()).or_insert_with(|| Meter {
            counted: now,
            ready: true,
            ours: false,
            jobs: Vec::new(),
        });
        meter.count(now, &mut self.spent);
        meter.ready = true;
        meter.jobs.push((JobId::clone(job), 0.0));
    }

    /// The job is final, by a result of `winner` where a worker sent one.
    pub(super) fn job_ended(&mut self, now: Duration, job: &JobId, status: &JobStatus, winner: Option<&str>) {
        for (worker, meter) in &mut self.workers {
            if !meter.jobs.iter().any(|(held, _)| held == job) {
                continue;
            }
            meter.count(now, &mut self.spent);
            let duplicate = winner.is_some_and(|winner| winner != worker);
            let kind = match status {
                _ if duplicate => &mut self.spent.duplicate,
                JobStatus::Completed => &mut self.spent.useful,
                JobStatus::Cancelled => &mut self.spent.cancelled,
                _ => &mut self.spent.failed,
            };
            meter.jobs.retain(|(held, seconds)| {
                if held == job {
                    *kind += seconds;
                }
                held != job
            });
        }
    }

    /// The job is queued again: what was spent on it is lost.
    pub(super) fn job_lost(&mut self, now: Duration, job: &JobId) {
        self.job_ended(now, job, &JobStatus::Failed, None);
    }

    /// The worker's process has ended.
    pub(super) fn ended(&mut self, now: Duration, worker: &str) {
        if let Some(mut meter) = self.workers.remove(worker) {
            meter.count(now, &mut self.spent);
            self.spent.failed += meter.jobs.iter().map(|(_, seconds)| seconds).sum::<f64>();
        }
    }

    /// All seconds up to `now`.
    pub(super) fn seconds(&mut self, now: Duration) -> Seconds {
        let mut all = self.spent;
        for meter in self.workers.values_mut() {
            meter.count(now, &mut self.spent);
            all.running += meter.jobs.iter().map(|(_, seconds)| seconds).sum::<f64>();
        }
        let running = all.running;
        Seconds {
            running,
            ..self.spent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn every_second_of_a_worker_is_counted_once_under_what_became_of_it() {
        let mut ledger = Ledger::default();
        let [a, b, c, d] = ["a", "b", "c", "d"].map(JobId::from);
        ledger.started(at(0), "w");
        ledger.asked(at(3), "w");
        ledger.took(at(4), "w", &a);
        ledger.job_ended(at(9), &a, &JobStatus::Completed, Some("w"));
        ledger.took(at(9), "w", &b);
        ledger.job_ended(at(11), &b, &JobStatus::Failed, Some("w"));
        ledger.took(at(11), "w", &c);
        ledger.job_ended(at(12), &c, &JobStatus::Cancelled, None);
        ledger.took(at(12), "w", &d);
        let expected = Seconds {
            start: 3.0,
            idle: 1.0,
            useful: 5.0,
            failed: 2.0,
            cancelled: 1.0,
            duplicate: 0.0,
            running: 4.0,
        };
        assert_eq!(ledger.seconds(at(16)), expected);
        ledger.ended(at(16), "w");
        let ended = Seconds {
            failed: 6.0,
            running: 0.0,
            ..expected
        };
        assert_eq!(ledger.seconds(at(99)), ended);
    }

    #[test]
    fn jobs_side_by_side_share_their_workers_time() {
        let mut ledger = Ledger::default();
        let [a, b] = ["a", "b"].map(JobId::from);
        ledger.started(at(0), "w");
        ledger.took(at(0), "w", &a);
        ledger.took(at(2), "w", &b);
        ledger.job_ended(at(6), &a, &JobStatus::Completed, Some("w"));
        ledger.job_lost(at(7), &b);
        let seconds = ledger.seconds(at(7));
        assert_eq!((seconds.useful, seconds.failed), (4.0, 3.0));
    }

    #[test]
    fn of_two_workers_with_one_job_the_one_that_is_too_late_worked_for_nothing() {
        let mut ledger = Ledger::default();
        let a = JobId::from("a");
        ledger.took(at(0), "w1", &a);
        ledger.took(at(1), "w2", &a);
        ledger.job_ended(at(5), &a, &JobStatus::Completed, Some("w2"));
        let seconds = ledger.seconds(at(50));
        assert_eq!((seconds.useful, seconds.duplicate), (4.0, 5.0));
        assert!(
            seconds.idle.abs() < 1e-9,
            "the rest of a worker that others started is not known"
        );
    }
}
