//! Forecasts when a render will be done: first by the times of earlier renders, then by the pace of its own steps.
//!
//! The WebUI's own estimate divides the time since the request by the done share. So it counts loading a model and
//! reading the prompt as if they went on (`docs/protocol/webui-api.md` §7).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::workload::Workload;
use crate::webui::Progress;

/// The weight of a new render against the earlier ones.
const NEWEST: f64 = 0.5;
/// Batches of more pictures count as ones of this many.
const LARGEST_BATCH: u32 = 64;

/// What earlier renders took.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By the size of batches: a picture of a large batch takes less.
    seconds_per_work: BTreeMap<u32, f64>,
    /// The size of the batches of the last render.
    last_size: u32,
    /// The seconds from the last step to the answer: decoding, encoding, sending.
    tail: Option<f64>,
}

impl History {
    /// The seconds for each unit of work in batches of a size, or of the last size while no render had this one.
    fn rate(&self, batch_size: u32) -> Option<f64> {
        let rates = &self.seconds_per_work;
        rates
            .get(&batch_size.min(LARGEST_BATCH))
            .or_else(|| rates.get(&self.last_size))
            .copied()
    }

    /// Takes a finished render into account.
    fn learn(&mut self, forecast: &Forecast, done: Instant) {
        let seconds = done.duration_since(forecast.begun).as_secs_f64();
        let work = forecast.workload.work();
        if work > 0.0 {
            let size = forecast.workload.batch_size().min(LARGEST_BATCH);
            let new = seconds / work;
            self.last_size = size;
            let known = self.seconds_per_work.entry(size).or_insert(new);
            *known += NEWEST * (new - *known);
        }
        if let Some(last_step) = forecast.last_step() {
            blend(
                &mut self.tail,
                done.saturating_duration_since(last_step).as_secs_f64(),
            );
        }
    }
}

fn blend(known: &mut Option<f64>, new: f64) {
    *known = Some(known.map_or(new, |old| old + NEWEST * (new - old)));
}

/// The forecast of one render.
#[derive(Debug)]
pub(super) struct Forecast {
    workload: Workload,
    begun: Instant,
    /// The seconds that it takes in all, by earlier renders.
    expected: Option<f64>,
    tail: f64,
    /// The first and the latest sample of its steps.
    samples: Option<(StepSample, StepSample)>,
}

/// The steps that were done at one time, of all steps of all batches.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepSample {
    at: Instant,
    done: u32,
    total: u32,
}

impl StepSample {
    /// The sample of a probe at `at`; `None` while no steps are done.
    pub(super) fn new(seen: &Progress, at: Instant) -> Option<Self> {
        let state = &seen.state;
        if state.is_over() || !state.is_sampling() {
            return None;
        }
        let number = |count: i64| u32::try_from(count).ok();
        let steps = number(state.sampling_steps)?;
        let batches = number(state.job_count).filter(|count| *count > 0)?;
        Some(Self {
            at,
            done: number(state.job_no)?.checked_mul(steps)? + number(state.sampling_step)?.min(steps),
            total: batches.checked_mul(steps)?,
        })
    }
}

impl Forecast {
    /// The forecast of a render that is sent `now`.
    pub(super) fn begin(workload: Workload, history: &History, now: Instant) -> Self {
        Self {
            workload,
            begun: now,
            expected: history
                .rate(workload.batch_size())
                .map(|rate| rate * workload.work()),
            tail: history.tail.unwrap_or_default(),
            samples: None,
        }
    }

    /// Adds a sample.
    pub(super) fn add(&mut self, sample: StepSample) {
        let first = match self.samples {
            // Steps of batches of another length are no measure.
            Some((first, _)) if first.total == sample.total && first.done <= sample.done => first,
            _ => sample,
        };
        self.samples = Some((first, sample));
    }

    /// The time left; `None` while nothing is known.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let end = match self.last_step() {
            Some(last_step) => last_step + Duration::from_secs_f64(self.tail),
            None => self
                .begun
                .checked_add(Duration::try_from_secs_f64(self.expected?).ok()?)?,
        };
        Some(end.saturating_duration_since(now))
    }

    /// The time that the render takes in all, from the time that is left.
    pub(super) fn whole(&self, left: Duration, now: Instant) -> Duration {
        let expected = self
            .expected
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        expected.unwrap_or_else(|| now.duration_since(self.begun).saturating_add(left))
    }

    /// Adds the render to the history. Its answer arrived at `done`.
    pub(super) fn finished(self, history: &mut History, done: Instant) {
        history.learn(&self, done);
    }

    /// When the last step is done, at the pace between the samples.
    fn last_step(&self) -> Option<Instant> {
        let (first, latest) = self.samples?;
        let steps = latest.done.checked_sub(first.done).filter(|steps| *steps > 0)?;
        let pace = latest.at.duration_since(first.at) / steps;
        let left = pace.checked_mul(latest.total.saturating_sub(latest.done))?;
        latest.at.checked_add(left)
    }
}

#[cfg(test)]
mod tests {
    use runpod_sdk::json::RawJson;

    use super::*;
    use crate::webui::Call;

    fn workload(steps: u32) -> Workload {
        Workload::of(&Call::txt2img(
            RawJson::parse(format!(r#"{{"steps": {steps}}}"#)).unwrap(),
        ))
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_first_render_is_known_by_its_second_sample() {
        let begun = Instant::now();
        let mut forecast = Forecast::begin(workload(20), &History::default(), begun);
        assert_eq!(forecast.left(begun), None);
        // Ten seconds of loading do not count.
        let sample = |at: f64, done: u32| StepSample {
            at: begun + seconds(at),
            done,
            total: 20,
        };
        forecast.add(sample(10.0, 1));
        assert_eq!(forecast.left(begun + seconds(10.0)), None);
        forecast.add(sample(12.0, 5));
        assert_eq!(forecast.left(begun + seconds(12.0)), Some(seconds(7.5)));
        assert_eq!(
            forecast.left(begun + seconds(30.0)),
            Some(Duration::ZERO),
            "late, and not before its time"
        );
    }

    #[test]
    fn later_renders_are_known_at_once_and_by_their_size() {
        let mut history = History::default();
        let begun = Instant::now();
        Forecast::begin(workload(20), &history, begun).finished(&mut history, begun + seconds(4.0));
        let left = |steps| {
            Forecast::begin(workload(steps), &history, begun)
                .left(begun)
                .unwrap()
                .as_secs_f64()
        };
        assert!((left(20) - 4.0).abs() < 0.001);
        assert!((left(40) - 8.0).abs() < 0.001);
    }

    #[test]
    fn decoding_after_the_last_step_is_learnt() {
        let mut history = History::default();
        let begun = Instant::now();
        let sample = |at: f64, done: u32| StepSample {
            at: begun + seconds(at),
            done,
            total: 10,
        };
        let mut first = Forecast::begin(workload(10), &history, begun);
        first.add(sample(1.0, 1));
        first.add(sample(2.0, 2));
        // The tenth step is due at 10 s; the answer takes three more.
        first.finished(&mut history, begun + seconds(13.0));
        let mut second = Forecast::begin(workload(10), &history, begun);
        second.add(sample(1.0, 1));
        second.add(sample(2.0, 2));
        assert_eq!(second.left(begun + seconds(2.0)), Some(seconds(11.0)));
    }

    #[test]
    fn steps_that_start_anew_start_the_measure_anew() {
        let begun = Instant::now();
        let mut forecast = Forecast::begin(workload(10), &History::default(), begun);
        for (at, done, total) in [(1.0, 9, 10), (2.0, 1, 10), (3.0, 2, 10), (3.5, 2, 30)] {
            forecast.add(StepSample {
                at: begun + seconds(at),
                done,
                total,
            });
        }
        assert_eq!(forecast.left(begun), None);
    }
}
