//! What the card knows about the work at hand, and how the progress route reports it (§7).

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use super::picture::Scene;

/// The web page asks for a task only while it waits for it; the real server remembers 16, too.
const REMEMBERED_TASKS: usize = 16;

/// Everything the card knows.
#[derive(Debug, Default)]
pub(crate) struct GpuState {
    pub(crate) skipped: bool,
    pub(crate) interrupted: bool,
    pub(crate) job: String,
    /// −1 between the start of a job and the moment its batches are counted.
    pub(crate) job_count: i64,
    pub(crate) job_timestamp: Option<SystemTime>,
    pub(crate) job_no: i64,
    pub(crate) sampling_step: u32,
    pub(crate) sampling_steps: u32,
    pub(crate) started: Option<Instant>,
    /// What a preview would show.
    pub(crate) preview: Option<Preview>,
    /// The step that the next preview counts from: that of the last one, 0 in a new batch.
    pub(crate) preview_from: u32,
    /// The last preview, and the step it shows.
    pub(crate) shown: Option<(u32, Preview)>,
    /// The task in progress, for the web page's own progress route.
    pub(crate) task: Option<String>,
    pub(crate) pending_tasks: VecDeque<String>,
    /// The last few that are done.
    pub(crate) finished_tasks: VecDeque<String>,

    pub(crate) sampling: bool,
    pub(crate) queue: VecDeque<u64>,
    pub(crate) next_place: u64,
    pub(crate) steps_granted: u64,
    pub(crate) steps_done: u64,
    pub(crate) interrupts: u64,
    pub(crate) renders: u64,
}

/// The pictures of the batch in progress.
#[derive(Debug, Clone)]
pub(crate) struct Preview {
    pub(crate) scenes: Vec<Scene>,
}

impl GpuState {
    /// A job has the lock: everything but the last job's `sampling_steps` starts anew.
    pub(crate) fn begin(&mut self, job: &str) {
        self.skipped = false;
        self.interrupted = false;
        job.clone_into(&mut self.job);
        self.job_count = -1;
        self.job_no = 0;
        self.job_timestamp = Some(SystemTime::now());
        self.sampling_step = 0;
        self.started = Some(Instant::now());
        self.preview = None;
        self.preview_from = 0;
        self.shown = None;
    }

    /// One batch is done.
    pub(crate) fn next_job(&mut self) {
        self.job_no += 1;
        self.sampling_step = 0;
        self.preview = None;
        self.preview_from = 0;
    }

    /// The job is over. `job_no`, `sampling_steps`, the time stamp and the interrupt flag stay.
    pub(crate) fn end(&mut self) {
        self.job.clear();
        self.job_count = 0;
        self.preview = None;
        self.shown = None;
        if let Some(task) = self.task.take() {
            self.finished_tasks.push_back(task);
            if self.finished_tasks.len() > REMEMBERED_TASKS {
                self.finished_tasks.pop_front();
            }
        }
    }

    /// A waiting task begins.
    pub(crate) fn begin_task(&mut self, task: String) {
        if let Some(place) = self.pending_tasks.iter().position(|pending| *pending == task) {
            self.pending_tasks.remove(place);
        }
        self.task = Some(task);
    }

    /// Takes a new preview when at least `every` steps have passed since the last one. −1 turns it off.
    pub(crate) fn take_preview(&mut self, every: i64) {
        let since = i64::from(self.sampling_step) - i64::from(self.preview_from);
        let due = every >= 0 && since >= every && self.sampling_step > 0;
        if let Some(preview) = self.preview.clone().filter(|_| due) {
            self.preview_from = self.sampling_step;
            self.shown = Some((self.sampling_step, preview));
        }
    }

    /// The share of the job that is done, 0–1.
    pub(crate) fn fraction(&self) -> f64 {
        if self.job_count == 0 {
            return 0.0;
        }
        let mut progress = 0.01;
        #[expect(clippy::cast_precision_loss, reason = "counts of batches are small")]
        let (job_no, job_count) = (self.job_no as f64, self.job_count as f64);
        if self.job_count > 0 {
            progress += job_no / job_count;
        }
        if self.sampling_steps > 0 {
            progress += 1.0 / job_count * f64::from(self.sampling_step) / f64::from(self.sampling_steps);
        }
        progress.min(1.0)
    }

    /// The share that the web page's own route shows: without the first hundredth.
    pub(crate) fn fraction_of_steps(&self) -> f64 {
        if self.job_count > 0 {
            (self.fraction() - 0.01).max(0.0)
        } else {
            0.0
        }
    }

    /// The share of all steps of all batches that is done, 0–1.
    pub(crate) fn share_of_steps(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of batches are small")]
        let (job_no, job_count) = (self.job_no.max(0) as f64, self.job_count.max(1) as f64);
        let steps = f64::from(self.sampling_steps.max(1));
        ((steps * job_no + f64::from(self.sampling_step)) / (steps * job_count)).min(1.0)
    }

    /// Seconds since the job began.
    pub(crate) fn elapsed(&self) -> f64 {
        self.started
            .map_or(0.0, |started| started.elapsed().as_secs_f64())
    }

    /// The seconds left, by the rule of three. Slightly negative at the very end, as in the original.
    pub(crate) fn eta(&self) -> f64 {
        if self.job_count == 0 {
            return 0.0;
        }
        let elapsed = self
            .started
            .map_or(0.0, |started| started.elapsed().as_secs_f64());
        elapsed / self.fraction() - elapsed
    }

    /// The `state` object of the progress route.
    pub(crate) fn to_json(&self, with_stopping: bool) -> Value {
        let mut state = json!({ "skipped": self.skipped, "interrupted": self.interrupted });
        if with_stopping {
            state["stopping_generation"] = json!(false);
        }
        state["job"] = json!(self.job);
        state["job_count"] = json!(self.job_count);
        state["job_timestamp"] = json!(self.job_timestamp.map_or_else(|| "0".to_owned(), time_stamp));
        state["job_no"] = json!(self.job_no);
        state["sampling_step"] = json!(self.sampling_step);
        state["sampling_steps"] = json!(self.sampling_steps);
        state
    }
}

/// `YYYYMMDDHHMMSS`, in UTC: the time of a server without a time zone, as a container is.
pub(crate) fn time_stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time)
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .collect()
}

/// A look at the simulated GPU, in the terms of the progress route (`docs/protocol/webui-api.md` §7).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Share of the job that is done, 0–1, by the formula of the real server. 0 when idle.
    pub fraction: f64,
    /// `scripts_txt2img`, `Batch 2 out of 3` and so on; empty when idle.
    pub job: String,
    /// Number of the batch in progress, from 0.
    pub job_no: i64,
    /// How many batches the job has; 0 when idle, −1 before they are counted.
    pub job_count: i64,
    /// Steps done in the batch in progress. One less than all while the picture is decoded.
    pub sampling_step: u32,
    /// Steps of the batch in progress, or of the last one.
    pub sampling_steps: u32,
    /// Whether the current or last job was interrupted.
    pub interrupted: bool,
    /// Requests that hold a place in the queue, the running one included.
    pub queued: usize,
}

impl Progress {
    pub(super) fn of(state: &GpuState) -> Self {
        Self {
            fraction: state.fraction(),
            job: state.job.clone(),
            job_no: state.job_no,
            job_count: state.job_count,
            sampling_step: state.sampling_step,
            sampling_steps: state.sampling_steps,
            interrupted: state.interrupted,
            queued: state.queue.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(job_count: i64, job_no: i64, step: u32, steps: u32) -> f64 {
        GpuState {
            job_count,
            job_no,
            sampling_step: step,
            sampling_steps: steps,
            ..GpuState::default()
        }
        .fraction()
    }

    #[test]
    fn progress_follows_the_servers_formula() {
        for (fraction, seen) in [
            (at(0, 1, 0, 40), 0.0),
            (at(-1, 0, 0, 15), 0.01),
            (at(1, 0, 11, 40), 0.285_000_000_000_000_03),
            (at(1, 0, 12, 40), 0.31),
            (at(1, 0, 39, 40), 0.985),
            (at(2, 1, 0, 20), 0.51),
            (at(1, 1, 0, 2), 1.0),
        ] {
            assert!((fraction - seen).abs() < 1e-12, "{fraction} is not {seen}");
        }
    }

    #[test]
    fn an_idle_card_remembers_parts_of_its_last_job() {
        let mut state = GpuState::default();
        state.begin("scripts_txt2img");
        state.job_count = 1;
        state.sampling_steps = 30;
        state.interrupted = true;
        state.next_job();
        state.end();
        let seen = state.to_json(true);
        assert_eq!((&seen["job"], &seen["job_count"]), (&json!(""), &json!(0)));
        assert_eq!(
            (&seen["job_no"], &seen["sampling_steps"]),
            (&json!(1), &json!(30))
        );
        assert_eq!(seen["interrupted"], json!(true));
        assert_eq!(seen["job_timestamp"].as_str().map(str::len), Some(14));
    }

    #[test]
    fn previews_are_ten_steps_apart() {
        let mut state = GpuState {
            preview: Some(Preview { scenes: Vec::new() }),
            ..GpuState::default()
        };
        let mut taken = Vec::new();
        for step in 0..40 {
            state.sampling_step = step;
            state.take_preview(10);
            taken.push(state.shown.as_ref().map(|(step, _)| *step));
        }
        taken.dedup();
        assert_eq!(taken, [None, Some(10), Some(20), Some(30)]);
        state.next_job();
        assert_eq!(
            state.shown.map(|(step, _)| step),
            Some(30),
            "the next batch shows the last until its own"
        );
    }
}
