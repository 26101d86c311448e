//! How many workers there should be.

use std::str::FromStr;
use std::time::Duration;

/// RunPod's two rules for starting another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScaleBy {
    /// When a job has waited for this long.
    QueueDelay(Duration),
    /// One worker for this many jobs that wait or run.
    RequestCount(usize),
}

impl FromStr for ScaleBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("delay", time)) => humantime::parse_duration(time)
                .map(Self::QueueDelay)
                .map_err(|problem| format!("{problem}; write a time such as `delay:4s`")),
            Some(("requests", number)) => match number.parse() {
                Ok(number) if number > 0 => Ok(Self::RequestCount(number)),
                _ => Err("write a number of at least 1, such as `requests:4`".to_owned()),
            },
            _ => Err("write `delay:TIME` or `requests:N`".to_owned()),
        }
    }
}

/// What an endpoint has to do, and who is there for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) queued: usize,
    pub(crate) running: usize,
    /// How long the first job of the queue has waited.
    pub(crate) oldest_wait: Duration,
    /// Workers that are there or on their way, without those that are being drained.
    pub(crate) workers: usize,
    /// Those of them that have not asked for a job yet.
    pub(crate) starting: usize,
}

/// The decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    by: ScaleBy,
    min: usize,
    max: usize,
}

impl Scale {
    pub(crate) fn new(by: ScaleBy, min: usize, max: usize) -> Self {
        Self { by, min, max }
    }

    /// How many workers there should be. Fewer than there are means that idle ones may go.
    pub(crate) fn wanted(&self, load: &Load) -> usize {
        let busy = load.queued + load.running;
        let wanted = match self.by {
            ScaleBy::RequestCount(each) => busy.div_ceil(each),
            // Without any worker no job would ever be taken.
            ScaleBy::QueueDelay(_) if load.workers == 0 => usize::from(load.queued > 0),
            ScaleBy::QueueDelay(delay) => {
                let late = load.queued > 0 && load.oldest_wait >= delay && load.starting == 0;
                // Nothing says which of them are needed: that is for the idle timeout to find out.
                if late {
                    load.workers + 1
                } else if load.queued > 0 {
                    load.workers
                } else {
                    0
                }
            }
        };
        wanted.clamp(self.min, self.max)
    }

    /// When a wait that has lasted for `waited` becomes a reason to start a worker.
    pub(crate) fn next_look(&self, waited: Duration) -> Option<Duration> {
        match self.by {
            ScaleBy::QueueDelay(delay) => delay.checked_sub(waited).filter(|span| !span.is_zero()),
            ScaleBy::RequestCount(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(rule: &str, min: usize, max: usize, load: Load) -> usize {
        Scale::new(rule.parse().unwrap(), min, max).wanted(&load)
    }

    #[test]
    fn by_requests_there_is_a_worker_for_every_few_jobs() {
        let busy = |queued, running| Load {
            queued,
            running,
            ..Load::default()
        };
        assert_eq!(wanted("requests:2", 0, 9, busy(0, 0)), 0);
        assert_eq!(wanted("requests:2", 0, 9, busy(1, 0)), 1);
        assert_eq!(wanted("requests:2", 0, 9, busy(3, 2)), 3);
        assert_eq!(wanted("requests:2", 1, 2, busy(0, 0)), 1);
        assert_eq!(wanted("requests:2", 1, 2, busy(30, 2)), 2);
    }

    #[test]
    fn by_delay_one_worker_more_is_started_at_a_time() {
        let waiting = |seconds, workers, starting| Load {
            queued: 5,
            oldest_wait: Duration::from_secs(seconds),
            workers,
            starting,
            ..Load::default()
        };
        assert_eq!(
            wanted("delay:4s", 0, 9, waiting(0, 0, 0)),
            1,
            "the first job needs no delay"
        );
        assert_eq!(wanted("delay:4s", 0, 9, waiting(3, 1, 0)), 1);
        assert_eq!(wanted("delay:4s", 0, 9, waiting(4, 1, 0)), 2);
        assert_eq!(wanted("delay:4s", 0, 9, waiting(4, 2, 1)), 2, "one is on its way");
        assert_eq!(wanted("delay:4s", 0, 2, waiting(9, 2, 0)), 2);
        let idle = Load {
            workers: 3,
            running: 1,
            ..Load::default()
        };
        assert_eq!(
            wanted("delay:4s", 1, 9, idle),
            1,
            "the busy one is not idle and stays"
        );
    }

    #[test]
    fn a_wait_is_looked_at_again_when_it_has_become_too_long() {
        let scale = Scale::new("delay:4s".parse().unwrap(), 0, 2);
        assert_eq!(
            scale.next_look(Duration::from_secs(1)),
            Some(Duration::from_secs(3))
        );
        assert_eq!(scale.next_look(Duration::from_secs(4)), None);
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_with_one_that_does() {
        for rule in [
            "",
            "delay",
            "delay:",
            "delay:soon",
            "requests:0",
            "requests:-1",
            "queue:4",
        ] {
            let refused = rule.parse::<ScaleBy>().unwrap_err();
            assert!(refused.contains("write"), "{rule}: {refused}");
        }
    }
}
