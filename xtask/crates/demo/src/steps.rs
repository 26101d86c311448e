//! The eight steps of the reference flow and how long each took (`docs/protocol/request-flow.md`).

use std::time::{Duration, SystemTime};

use crate::job::Finished;
use crate::observer::Moment;
use crate::timeline::Timeline;

/// A bound that a step has to keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) text: &'static str,
    limit: Duration,
}

/// How long something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    Exactly(Duration),
    AtMost(Duration),
    NotMeasured,
}

/// One step and how long it took.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) budget: Budget,
    pub(crate) took: Took,
}

impl Step {
    /// Whether the step kept its budget for certain.
    pub(crate) fn is_within(&self) -> Option<bool> {
        match self.took {
            Took::Exactly(took) | Took::AtMost(took) => Some(took <= self.budget.limit),
            Took::NotMeasured => None,
        }
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
/// WebUI was done with the picture.
pub(crate) fn of(
    job: &Finished,
    timeline: &Timeline,
    ready: Duration,
    rendered: Option<Moment>,
) -> [Step; 8] {
    let step = |number, name, owner, budget, took| Step {
        number,
        name,
        owner,
        budget,
        took,
    };
    let exactly = |time: Option<Duration>| time.map_or(Took::NotMeasured, Took::Exactly);
    let at_most = |time: Option<Duration>| time.map_or(Took::NotMeasured, Took::AtMost);

    let reception = span(Some(job.submitted), timeline.at("handler_started"));
    let processing = timeline.between("handler_started", "inference_started");
    let (asked, answered) = (
        timeline.at("inference_started"),
        timeline.at("inference_finished"),
    );
    let render = span(asked, rendered.map(|moment| moment.not_after));
    let generation = span(rendered.map(|moment| moment.not_before), answered);
    let forwarding = timeline.between("inference_finished", "processing_complete");
    let response = span(timeline.at("processing_complete"), Some(job.answered));
    [
        step(1, "request reception", "platform", PLATFORM, exactly(reception)),
        step(2, "handler processing", "handler", HANDLER, exactly(processing)),
        step(3, "service readiness", "worker", READINESS, exactly(Some(ready))),
        step(
            4,
            "inference request",
            "worker",
            INFERENCE,
            exactly(span(asked, answered)),
        ),
        step(5, "AI processing", "WebUI", INFERENCE, at_most(render)),
        step(6, "response generation", "WebUI", ANSWER, at_most(generation)),
        step(7, "response forwarding", "handler", HANDLER, exactly(forwarding)),
        step(8, "platform response", "platform", PLATFORM, exactly(response)),
    ]
}

/// From one moment to another. Two processes' times are rounded, so that a short span may come out below zero.
pub(crate) fn span(from: Option<SystemTime>, to: Option<SystemTime>) -> Option<Duration> {
    Some(to?.duration_since(from?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(budget: Budget, took: Took) -> Step {
        Step {
            number: 1,
            name: "request reception",
            owner: "platform",
            budget,
            took,
        }
    }

    #[test]
    fn a_step_keeps_its_budget_or_not_or_it_is_unknown() {
        let millis = Duration::from_millis;
        assert_eq!(step(PLATFORM, Took::Exactly(millis(99))).is_within(), Some(true));
        assert_eq!(step(HANDLER, Took::Exactly(millis(11))).is_within(), Some(false));
        assert_eq!(step(ANSWER, Took::AtMost(millis(20))).is_within(), Some(true));
        assert_eq!(step(ANSWER, Took::NotMeasured).is_within(), None);
    }

    #[test]
    fn clocks_that_disagree_by_a_rounding_give_no_negative_time() {
        let now = SystemTime::now();
        let later = now + Duration::from_millis(1);
        assert_eq!(span(Some(later), Some(now)), Some(Duration::ZERO));
        assert_eq!(span(None, Some(now)), None);
    }
}
