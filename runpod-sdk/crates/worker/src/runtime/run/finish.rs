//! The fifth step of a job: its final outcome, announced to log, span, events and hooks.

use std::sync::atomic::Ordering;

use tracing::Instrument;

use super::start::StartedRun;
use crate::context::{Timeline, point};
use crate::events::WorkerEvent;
use crate::job::{JobId, Outcome};
use crate::runtime::deliver::limited;
use crate::runtime::ended_job::EndedJob;
use crate::runtime::{Runtime, span};
use crate::telemetry;

/// What is known of a job apart from its input.
pub(super) struct JobRecord {
    pub(super) id: JobId,
    pub(super) batch: Option<String>,
    pub(super) timeline: Timeline,
}

/// Ends a job whose handler has ended.
pub(super) fn finish(runtime: &Runtime, record: JobRecord, outcome: Outcome, run: StartedRun) -> EndedJob {
    record.timeline.mark(point::PROCESSING_COMPLETE);
    let StartedRun { flags, context_after } = run;
    // The chunks of a stream stay, whatever ended it.
    let outcome = outcome.in_stream(flags.streams.load(Ordering::Relaxed));
    let stop_pod = flags.refresh.load(Ordering::Relaxed) || runtime.settings.intake.is_retired();
    let mut outcome = limited(runtime, outcome, stop_pod);
    if let Some(error) = outcome.unexplained() {
        error.or_log_tail(|| telemetry::last_lines(runtime.settings.log_tail));
    }
    let ended = announce(runtime, record, outcome, stop_pod);
    if let Some(context) = context_after {
        let after = runtime.hooks.clone().after_job(context, ended.summary());
        runtime.jobs.spawn_on(after.in_current_span(), &runtime.handlers);
    }
    ended
}

/// Ends a job whose handler was not called.
pub(super) fn finish_unstarted(runtime: &Runtime, record: JobRecord, outcome: Outcome) -> EndedJob {
    record.timeline.mark(point::PROCESSING_COMPLETE);
    let stop_pod = runtime.settings.intake.is_retired();
    let outcome = limited(runtime, outcome, stop_pod);
    announce(runtime, record, outcome, stop_pod)
}

fn announce(runtime: &Runtime, record: JobRecord, outcome: Outcome, stop_pod: bool) -> EndedJob {
    span::record_end(&outcome);
    let JobRecord { id, batch, timeline } = record;
    let ended = EndedJob {
        id,
        batch,
        outcome,
        stop_pod,
        timeline,
    };
    runtime.events.emit(|| WorkerEvent::JobFinished(ended.summary()));
    ended
}
