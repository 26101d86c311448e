//! Follows a render by the WebUI's progress, and reports it to the job's client.

mod forecast;
mod tracker;
mod workload;

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::debug;

use self::forecast::{Forecast, History, StepSample};
use self::tracker::Tracker;
use self::workload::Workload;
use super::cut_short::EndingSigns;
use super::jobs::RenderJobs;
use super::part::JobPart;
use super::stall::StallDetector;
use crate::settings::ProgressSettings;
use crate::webui::{Call, ExpectedJob, Progress, RenderOwner, WebUi};

/// The time before the first probe of a render. Shorter renders cost one probe at their end.
const FIRST_PROBE: Duration = Duration::from_millis(500);

/// The time between two probes when progress updates are off.
const STALL_PROBE: Duration = Duration::from_secs(1);

/// Reports renders, and learns from them how long later ones take.
#[derive(Debug)]
pub(super) struct ProgressReporter {
    settings: ProgressSettings,
    /// In bytes of base64.
    preview_limit: usize,
    history: Mutex<History>,
}

impl ProgressReporter {
    pub(super) fn new(settings: ProgressSettings, preview_limit: usize) -> Self {
        Self {
            settings,
            preview_limit,
            history: Mutex::default(),
        }
    }

    /// Follows the render that is sent next.
    pub(super) fn follow<'a>(
        &'a self,
        webui: &'a WebUi,
        call: &Call,
        part: JobPart,
        jobs: &'a RenderJobs,
    ) -> Follower<'a> {
        let workload = Workload::of(call);
        let now = Instant::now();
        let follower = Follower {
            reporter: self,
            webui,
            jobs,
            part,
            tracker: Tracker::new(workload.of_each(jobs), part),
            forecast: Forecast::begin(workload, &self.history.lock(), now),
            expected_job: workload.expected_job(),
            seen_running: false,
            signs: EndingSigns::of(workload.batches_counted()),
        };
        follower.report_time_left(now);
        follower
    }
}

/// Follows one render.
#[derive(Debug)]
pub(super) struct Follower<'a> {
    reporter: &'a ProgressReporter,
    webui: &'a WebUi,
    jobs: &'a RenderJobs,
    part: JobPart,
    tracker: Tracker,
    forecast: Forecast,
    expected_job: ExpectedJob,
    seen_running: bool,
    signs: EndingSigns,
}

impl Follower<'_> {
    /// Probes at intervals, and returns when the render is stalled. A failed probe is ignored otherwise, because the
    /// render's own answer explains what is wrong.
    pub(super) async fn report(&mut self, stall: &mut StallDetector) {
        let ProgressSettings {
            progress_interval,
            preview,
        } = self.reporter.settings;
        let is_silent = progress_interval.is_zero();
        // A preview of a batch shows the pictures of all its jobs.
        let preview = preview && !self.jobs.are_several();
        if is_silent && stall.is_off() {
            return std::future::pending().await;
        }
        tokio::time::sleep(FIRST_PROBE).await;
        loop {
            let position = match self.webui.progress_with(preview && !is_silent).await {
                Ok(seen) => match self.webui.own_render().owner(&seen) {
                    // Another client's render is neither reported nor interrupted.
                    RenderOwner::ClientAhead | RenderOwner::ClientAfter => None,
                    owner @ (RenderOwner::Worker | RenderOwner::Nothing) => {
                        let runs = owner == RenderOwner::Worker;
                        self.seen_running |= runs;
                        self.signs.note(&seen);
                        let position = runs.then(|| seen.state.position());
                        if !is_silent {
                            self.update(seen);
                        }
                        position
                    }
                },
                Err(error) => {
                    debug!(%error, "no progress to report");
                    None
                }
            };
            if stall.is_stalled(position, std::time::Instant::now()) {
                return;
            }
            tokio::time::sleep(if is_silent { STALL_PROBE } else { progress_interval }).await;
        }
    }

    /// What progress says of the render, as far as its request decides it.
    pub(super) fn expected_job(&self) -> ExpectedJob {
        self.expected_job
    }

    /// Whether a probe saw the WebUI at work.
    pub(super) fn seen_running(&self) -> bool {
        self.seen_running
    }

    /// The signs of an early end that probes saw.
    pub(super) fn signs(&self) -> &EndingSigns {
        &self.signs
    }

    /// Sends the client an update, if there is something new.
    fn update(&mut self, mut seen: Progress) {
        let preview_limit = self.reporter.preview_limit;
        let now = Instant::now();
        if let Some(sample) = StepSample::new(&seen, now) {
            self.forecast.add(sample);
        }
        self.report_time_left(now);
        let preview = seen.preview.take().filter(|preview| {
            let fits = preview.len() <= preview_limit;
            if !fits {
                debug!(
                    bytes = preview.len(),
                    preview_limit, "the preview is too large to be shown"
                );
            }
            fits
        });
        if let Some(update) = self.tracker.next(&seen, self.time_left(now), preview) {
            self.jobs.progress(update);
        }
    }

    /// Tells the runtime when the job will be done, so that the next one is taken just in time.
    fn report_time_left(&self, now: Instant) {
        if let Some(left) = self.time_left(now) {
            self.jobs.finishing_in(left);
        }
    }

    /// The time left for the whole job.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let left = self.forecast.left(now)?;
        Some(self.part.time_left(left, self.forecast.whole(left, now)))
    }

    /// The render is done. Later forecasts learn from it, and the client gets the last update after the job's last
    /// render.
    pub(super) fn finished(self) {
        self.forecast
            .finished(&mut self.reporter.history.lock(), Instant::now());
        if self.part.is_last() && !self.reporter.settings.progress_interval.is_zero() {
            self.jobs.progress(self.tracker.done());
        }
    }

    /// The last update in words.
    pub(super) fn last_seen(&self) -> Option<String> {
        self.tracker.last_seen()
    }
}
