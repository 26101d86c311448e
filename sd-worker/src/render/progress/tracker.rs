//! Turns the WebUI's progress into updates for clients, which never go back.

use std::time::Duration;

use serde::Serialize;

use super::workload::Workload;
use crate::render::part::JobPart;
use crate::webui::Progress;

/// The output of an unfinished job, as a client sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Update {
    phase: Phase,
    /// The done part of the whole job. It never falls; 100 means that the picture has yet to be handed over.
    percent: u8,
    /// The step of the batch in work.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<i64>,
    /// The first picture of the batch in work, from 1, and the number of all pictures.
    image: u32,
    images: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_s: Option<f64>,
    /// The unfinished picture as base64, if previews are on.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    /// Loading the model, reading the prompt.
    Preparing,
    Sampling,
    /// The second pass of hires fix.
    Upscaling,
    /// Decoding and encoding the picture.
    Finishing,
    /// The picture is there.
    Done,
}

/// The updates of one render.
#[derive(Debug)]
pub(super) struct Tracker {
    workload: Workload,
    part: JobPart,
    /// The done part of this render.
    percent: u8,
    /// Steps of this render were seen. Until then the WebUI may report the job before.
    sampled: bool,
    last: Option<Update>,
}

impl Tracker {
    pub(super) fn new(workload: Workload, part: JobPart) -> Self {
        Self {
            workload,
            part,
            percent: 0,
            sampled: false,
            last: None,
        }
    }

    /// The next update; `None` if nothing has changed.
    pub(super) fn next(
        &mut self,
        seen: &Progress,
        eta: Option<Duration>,
        preview: Option<String>,
    ) -> Option<Update> {
        let state = &seen.state;
        if !seen.is_rendering() || (state.is_over() && !self.sampled) {
            // A failed upscaling leaves a finished job behind, until the next one begins.
            return None;
        }
        let sampling = state.is_sampling() && !state.is_over();
        self.sampled |= sampling;
        let share = (seen.share.clamp(0.0, 1.0) * 100.0).floor().min(99.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 99"
        )]
        let percent = (share as u8).max(self.percent);
        self.percent = percent;

        let (batch, second_pass) = self.batch(state.job_no, state.job_count);
        let phase = match percent {
            98.. => Phase::Finishing,
            _ if sampling && second_pass => Phase::Upscaling,
            _ if sampling => Phase::Sampling,
            _ if self.sampled => Phase::Finishing,
            _ => Phase::Preparing,
        };
        let update = Update {
            phase,
            percent: self.part.percent(percent),
            step: sampling.then(|| state.sampling_step.min(state.sampling_steps)),
            steps: sampling.then_some(state.sampling_steps),
            image: self.images_before() + batch * self.workload.batch_size() + 1,
            images: self.images(),
            eta_s: eta
                .map(|eta| eta.as_secs_f64())
                .or((sampling && seen.eta_relative > 0.0).then_some(seen.eta_relative))
                .map(|seconds| (seconds * 10.0).round() / 10.0),
            preview,
        };
        if self.last.as_ref() == Some(&update) {
            return None;
        }
        self.last = Some(update.clone());
        Some(update)
    }

    /// The update for a render whose answer has arrived.
    pub(super) fn done(&self) -> Update {
        Update {
            phase: Phase::Done,
            percent: 100,
            step: None,
            steps: None,
            image: self.images(),
            images: self.images(),
            eta_s: None,
            preview: None,
        }
    }

    /// The last update in words.
    pub(super) fn last_seen(&self) -> Option<String> {
        let last = self.last.as_ref()?;
        Some(match (last.step, last.steps) {
            (Some(step), Some(steps)) => format!("at step {step} of {steps}, {}% done", last.percent),
            _ => format!("{}% done", last.percent),
        })
    }

    /// The number of the job's pictures.
    fn images(&self) -> u32 {
        self.images_of_a_part().saturating_mul(self.part.all())
    }

    fn images_before(&self) -> u32 {
        self.images_of_a_part().saturating_mul(self.part.before())
    }

    fn images_of_a_part(&self) -> u32 {
        self.workload.batches().saturating_mul(self.workload.batch_size())
    }

    /// The batch in work, from 0, and whether it is in its second pass. With hires fix the WebUI counts each batch twice.
    fn batch(&self, job_no: i64, job_count: i64) -> (u32, bool) {
        let batches = self.workload.batches();
        let twice = self.workload.passes() == 2 && job_count == i64::from(batches) * 2;
        let job_no = u32::try_from(job_no).unwrap_or_default();
        let batch = if twice { job_no / 2 } else { job_no };
        (batch.min(batches - 1), twice && job_no % 2 == 1)
    }
}

#[cfg(test)]
mod tests;
