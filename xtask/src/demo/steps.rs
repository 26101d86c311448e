//! The eight steps of the reference flow and how long each took (`docs/protocol/request-flow.md`).

use std::time::{Duration, SystemTime};

use super::job::Finished;
use super::timeline::Timeline;

/// A bound that a step has to keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) text: &'static str,
    limit: Duration,
}

/// One step and how long it took, if that could be measured.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) number: u8,
    pub(super) name: &'static str,
    pub(super) owner: &'static str,
    pub(super) budget: Budget,
    pub(super) took: Option<Duration>,
}

impl Step {
    /// Whether the step kept its budget.
    pub(super) fn is_within(&self) -> Option<bool> {
        self.took.map(|took| took <= self.budget.limit)
    }
}

const fn budget(text: &'static str, limit: Duration) -> Budget {
    Budget { text, limit }
}

const PLATFORM: Budget = budget("< 100 ms", Duration::from_millis(100));
const HANDLER: Budget = budget("< 10 ms", Duration::from_millis(10));
const READINESS: Budget = budget("0-60 s", Duration::from_mins(1));
const INFERENCE: Budget = budget("10-120 s", Duration::from_mins(2));
const ANSWER: Budget = budget("< 1 s", Duration::from_secs(1));

/// The eight steps of one job. `ready`: from the worker's start until the WebUI had answered. `rendered`: when the
/// WebUI had rendered the picture.
pub(super) fn of(
    job: &Finished,
    timeline: &Timeline,
    ready: Duration,
    rendered: Option<SystemTime>,
) -> [Step; 8] {
    let step = |number, name, owner, budget, took| Step {
        number,
        name,
        owner,
        budget,
        took,
    };
    let sent = timeline.at("inference_started");
    let received = timeline.at("inference_finished");
    [
        step(
            1,
            "request reception",
            "platform",
            PLATFORM,
            span(Some(job.submitted), timeline.at("handler_started")),
        ),
        step(
            2,
            "handler processing",
            "handler",
            HANDLER,
            timeline.between("handler_started", "inference_started"),
        ),
        step(3, "service readiness", "worker", READINESS, Some(ready)),
        step(4, "inference request", "worker", INFERENCE, span(sent, received)),
        step(5, "AI processing", "WebUI", INFERENCE, span(sent, rendered)),
        step(
            6,
            "response generation",
            "WebUI",
            ANSWER,
            span(rendered, received),
        ),
        step(
            7,
            "response forwarding",
            "handler",
            HANDLER,
            timeline.between("inference_finished", "processing_complete"),
        ),
        step(
            8,
            "platform response",
            "platform",
            PLATFORM,
            span(timeline.at("processing_complete"), Some(job.answered)),
        ),
    ]
}

/// From one moment to another. Two processes' times are rounded, so that a short span may come out below zero.
pub(super) fn span(from: Option<SystemTime>, to: Option<SystemTime>) -> Option<Duration> {
    Some(to?.duration_since(from?).unwrap_or_default())
}
