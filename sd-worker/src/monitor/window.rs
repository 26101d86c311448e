//! The last jobs in a few figures: how many went well, how long they took, and whether they take longer than before.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// So many jobs are looked back on.
const JOBS: usize = 100;

/// One job that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ended {
    /// With a picture, after so long a time of the WebUI's.
    Well(Option<Duration>),
    /// By the worker's fault or the WebUI's.
    Badly,
}

/// The last hundred jobs. What users got wrong is not among them: it says nothing about this worker.
#[derive(Debug, Default)]
pub(super) struct Window {
    jobs: VecDeque<Ended>,
    seen: u64,
}

/// The window in figures. Each is `None` while there is nothing to tell it from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    /// Share of the jobs that went well, 0 to 1.
    pub(super) success: Option<f64>,
    /// Mean time of the WebUI's, in seconds.
    pub(super) average: Option<f64>,
    /// Mean time of the newer half by that of the older half: above 1, jobs take longer than before.
    pub(super) trend: Option<f64>,
}

impl Window {
    /// Notes a job. Returns whether so many have come since the last time that the log should hear of them.
    pub(super) fn add(&mut self, job: Ended) -> bool {
        if self.jobs.len() == JOBS {
            self.jobs.pop_front();
        }
        self.jobs.push_back(job);
        self.seen += 1;
        self.seen.is_multiple_of(JOBS as u64)
    }

    pub(super) fn figures(&self) -> Figures {
        let times: Vec<f64> = self
            .jobs
            .iter()
            .filter_map(|job| match job {
                Ended::Well(time) => time.map(|time| time.as_secs_f64()),
                Ended::Badly => None,
            })
            .collect();
        let well = self.jobs.iter().filter(|job| matches!(job, Ended::Well(_)));
        let (older, newer) = times.split_at(times.len() / 2);
        Figures {
            success: share(well.count(), self.jobs.len()),
            average: mean(&times),
            trend: mean(older)
                .filter(|older| *older > 0.0)
                .and_then(|older| Some(mean(newer)? / older)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a hundred")]
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "at most a hundred")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |figure: Option<f64>, digits| {
            figure.map_or_else(|| "unknown".to_owned(), |figure| format!("{figure:.digits$}"))
        };
        write!(
            f,
            "success={} average_s={} trend={}",
            figure(self.success, 3),
            figure(self.average, 2),
            figure(self.trend, 2)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(jobs: impl IntoIterator<Item = Ended>) -> Window {
        let mut window = Window::default();
        for job in jobs {
            window.add(job);
        }
        window
    }

    fn after(seconds: u64) -> Ended {
        Ended::Well(Some(Duration::from_secs(seconds)))
    }

    #[test]
    fn nothing_is_known_of_no_jobs() {
        assert_eq!(
            window([]).figures().to_string(),
            "success=unknown average_s=unknown trend=unknown"
        );
    }

    #[test]
    fn rate_average_and_trend_are_those_of_the_jobs() {
        let figures = window([after(1), Ended::Badly, after(1), after(2), after(4)]).figures();
        assert_eq!(figures.to_string(), "success=0.800 average_s=2.00 trend=3.00");
    }

    #[test]
    fn a_job_that_did_not_render_has_no_time() {
        let figures = window([Ended::Well(None), after(3)]).figures();
        assert_eq!(figures.to_string(), "success=1.000 average_s=3.00 trend=unknown");
    }

    #[test]
    fn old_jobs_are_forgotten_and_every_hundredth_is_news() {
        let mut window = Window::default();
        let news = (0..250)
            .filter(|job| window.add(if *job < 150 { Ended::Badly } else { after(1) }))
            .count();
        assert_eq!(news, 2);
        assert_eq!(
            window.figures().to_string(),
            "success=1.000 average_s=1.00 trend=1.00"
        );
    }

    proptest::proptest! {
        #[test]
        fn figures_stay_in_their_bounds(times in proptest::collection::vec(proptest::option::of(0_u64..1000), 0..300)) {
            let jobs = times.into_iter().map(|time| time.map_or(Ended::Badly, after));
            let Figures { success, average, trend } = window(jobs).figures();
            proptest::prop_assert!(success.is_none_or(|share| (0.0..=1.0).contains(&share)));
            proptest::prop_assert!(average.is_none_or(|seconds| (0.0..1000.0).contains(&seconds)));
            proptest::prop_assert!(trend.is_none_or(|trend| trend.is_finite() && trend >= 0.0));
        }
    }
}
