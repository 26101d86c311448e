//! The answer of `/sdapi/v1/progress` (`docs/protocol/webui-api.md` §7).

use serde::Deserialize;

/// A position in a render: the number of the batch, and of the step in it.
pub(crate) type Position = (i64, i64);

/// What the WebUI reports of its current job. Every key is optional, because forks leave keys out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    /// The done part of the job, from 0 to 1.
    #[serde(rename = "progress")]
    pub(crate) share: f64,
    /// The WebUI's own estimate of the seconds left.
    pub(crate) eta_relative: f64,
    pub(crate) state: RenderState,
    /// The unfinished picture as base64.
    #[serde(rename = "current_image")]
    pub(crate) preview: Option<String>,
}

/// The state of the current job, or of the last one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct RenderState {
    pub(crate) interrupted: bool,
    pub(crate) skipped: bool,
    /// The batch in work is finished, and no other begins.
    pub(crate) stopping_generation: bool,
    /// When the last job began, to the second; "0" before the first.
    pub(crate) job_timestamp: Option<String>,
    pub(crate) job_count: i64,
    pub(crate) job_no: i64,
    pub(crate) sampling_step: i64,
    pub(crate) sampling_steps: i64,
}

impl Progress {
    /// What the state says of the end of a render, in words.
    pub(crate) fn said_of_the_end(&self) -> String {
        let state = &self.state;
        let end = match (state.interrupted, state.skipped) {
            (true, _) => "interrupted",
            (_, true) => "skipped",
            _ => "not interrupted",
        };
        format!(
            "its state says {end}, at step {} of {}",
            state.sampling_step, state.sampling_steps
        )
    }

    /// Whether a render runs. After a failed upscaling this stays true until the next job.
    pub(crate) fn is_rendering(&self) -> bool {
        self.state.job_count != 0
    }
}

impl RenderState {
    /// The finished batches of the current job, or of the last one. Hires fix counts each batch twice.
    pub(crate) fn batches_done(&self) -> i64 {
        self.job_no
    }

    /// The batch in work and its step.
    pub(crate) fn position(&self) -> Position {
        (self.job_no, self.sampling_step)
    }

    /// Whether all batches are done: the last moments of a render, or the remains of a failed upscaling.
    pub(crate) fn is_over(&self) -> bool {
        self.job_count > 0 && self.job_no >= self.job_count
    }

    /// Whether the reported steps are those of the current job. Until sampling starts they are those of the job before.
    pub(crate) fn is_sampling(&self) -> bool {
        self.sampling_step > 0 && self.sampling_steps > 0
    }
}
