//! How far a render is: what the WebUI says (`docs/protocol/webui-api.md` §7), and what is told of it.

use std::convert::Infallible;
use std::time::Duration;

use runpod_sdk::Context;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::WebUi;

/// Short renders are done by then and cost no extra request.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// The answer of `/sdapi/v1/progress`. Everything is optional: forks leave keys out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    #[serde(rename = "progress")]
    share: f64,
    eta_relative: f64,
    pub(super) state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) interrupted: bool,
    job_count: i64,
    job_no: i64,
    sampling_step: i64,
    sampling_steps: i64,
}

impl Progress {
    /// Whether a render runs. After a failed upscaling this stays true until the next job.
    pub(super) fn is_rendering(&self) -> bool {
        self.state.job_count != 0
    }
}

/// What a client sees as the output of an unfinished job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Update {
    phase: Phase,
    /// Of the whole job. Never less than before.
    percent: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<i64>,
    /// The batch that is being rendered, from 1, and how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_s: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    /// Loading the model, reading the prompt.
    Preparing,
    Sampling,
    /// Decoding and encoding the picture.
    Finishing,
}

/// Turns what the WebUI says into updates that never go back.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    percent: u8,
    last: Option<Update>,
}

impl Tracker {
    /// The next update; `None` if there is nothing new to tell.
    pub(super) fn next(&mut self, seen: &Progress) -> Option<Update> {
        if !seen.is_rendering() {
            return None;
        }
        // 100 is what the result itself says.
        let share = (seen.share.clamp(0.0, 1.0) * 100.0).floor().min(99.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 99"
        )]
        let percent = (share as u8).max(self.percent);
        self.percent = percent;

        let state = &seen.state;
        // Until sampling starts the steps are those of the job before.
        let sampling = state.sampling_step > 0 && state.sampling_steps > 0;
        let phase = match percent {
            98.. => Phase::Finishing,
            _ if sampling => Phase::Sampling,
            _ => Phase::Preparing,
        };
        let several = state.job_count > 1;
        let update = Update {
            phase,
            percent,
            step: sampling.then(|| state.sampling_step.min(state.sampling_steps)),
            steps: sampling.then_some(state.sampling_steps),
            image: several.then(|| (state.job_no + 1).clamp(1, state.job_count)),
            images: several.then_some(state.job_count),
            eta_s: (sampling && seen.eta_relative > 0.0).then(|| (seen.eta_relative * 10.0).round() / 10.0),
        };
        if self.last.as_ref() == Some(&update) {
            return None;
        }
        self.last = Some(update.clone());
        Some(update)
    }

    /// The last thing that was told, in words.
    pub(super) fn last_seen(&self) -> Option<String> {
        let last = self.last.as_ref()?;
        Some(match (last.step, last.steps) {
            (Some(step), Some(steps)) => format!("at step {step} of {steps}, {}% done", last.percent),
            _ => format!("{}% done", last.percent),
        })
    }
}

/// Asks again and again, one question at a time, until it is dropped. Failures are ignored: the render
/// itself will tell what is wrong.
pub(super) async fn report(
    webui: &WebUi,
    every: Duration,
    tracker: &mut Tracker,
    ctx: &Context,
) -> Infallible {
    if every.is_zero() {
        return std::future::pending().await;
    }
    tokio::time::sleep(FIRST_LOOK).await;
    loop {
        match webui.progress().await {
            Ok(seen) => {
                if let Some(update) = tracker.next(&seen) {
                    ctx.progress(update);
                }
            }
            Err(error) => debug!(%error, "no progress to report"),
        }
        tokio::time::sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What a client gets to see, one entry for each answer of the WebUI.
    fn told(answers: impl IntoIterator<Item = Value>) -> Vec<Value> {
        let mut tracker = Tracker::default();
        answers
            .into_iter()
            .map(|answer| {
                let seen = serde_json::from_value(answer).unwrap();
                serde_json::to_value(tracker.next(&seen)).unwrap()
            })
            .collect()
    }

    fn answer(progress: f64, job_count: i64, job_no: i64, step: i64) -> Value {
        json!({
            "progress": progress, "eta_relative": 3.12, "textinfo": null,
            "state": {
                "job": "x", "job_count": job_count, "job_no": job_no,
                "sampling_step": step, "sampling_steps": 25,
            },
        })
    }

    #[test]
    fn a_render_is_prepared_sampled_and_finished() {
        assert_eq!(
            told([
                answer(0.01, -1, 0, 0),
                answer(0.41, 1, 0, 10),
                answer(0.985, 1, 0, 24)
            ]),
            [
                json!({ "phase": "preparing", "percent": 1 }),
                json!({ "phase": "sampling", "percent": 41, "step": 10, "steps": 25, "eta_s": 3.1 }),
                json!({ "phase": "finishing", "percent": 98, "step": 24, "steps": 25, "eta_s": 3.1 }),
            ]
        );
    }

    #[test]
    fn it_never_goes_back_and_never_says_done() {
        let percents: Vec<Value> = told([answer(0.5, 2, 0, 20), answer(0.3, 2, 1, 1), answer(1.2, 2, 1, 25)])
            .into_iter()
            .map(|update| update["percent"].clone())
            .collect();
        assert_eq!(percents, [50, 50, 99]);
    }

    #[test]
    fn several_batches_are_counted() {
        let update = &told([answer(0.4, 3, 1, 5)])[0];
        assert_eq!((&update["image"], &update["images"]), (&json!(2), &json!(3)));
    }

    #[test]
    fn nothing_new_and_nothing_at_all_are_not_told() {
        let idle = json!({ "progress": 0.0, "state": { "job_count": 0, "sampling_steps": 25 } });
        assert_eq!(
            told([idle, json!({}), answer(0.4, 1, 0, 5), answer(0.4, 1, 0, 5)])
                .iter()
                .map(Value::is_null)
                .collect::<Vec<_>>(),
            [true, true, false, true]
        );
    }
}
