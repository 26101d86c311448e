//! How far a render is: what the WebUI says (`docs/protocol/webui-api.md` §7), and what is told of it.

mod asked;
mod forecast;
mod tracker;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runpod_sdk::Context;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::debug;

use self::asked::Asked;
use self::forecast::{Forecast, History, Look};
use self::tracker::Tracker;
use super::WebUi;
use super::call::Call;
use super::ending::{CutShort, Signs};
use super::part::Part;
use crate::health::{Position, Stall};
use crate::settings::ProgressSettings;

/// Short renders are done by then, and all that they cost is the one look after each render.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// Between two looks where nothing is told.
const LOOK_FOR_STALLS: Duration = Duration::from_secs(1);

/// The answer of `/sdapi/v1/progress`. Everything is optional: forks leave keys out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    #[serde(rename = "progress")]
    share: f64,
    eta_relative: f64,
    pub(super) state: State,
    #[serde(rename = "current_image")]
    preview: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) interrupted: bool,
    pub(super) skipped: bool,
    /// No batch begins any more; the one in work is finished.
    pub(super) stopping_generation: bool,
    /// When the last job began, to the second; "0" before the first.
    pub(super) job_timestamp: Option<String>,
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

impl State {
    /// Batches that are over, of the job in work or of the last one. Hires fix counts each twice.
    pub(super) fn batches_done(&self) -> i64 {
        self.job_no
    }

    /// Which batch, and which step of it.
    pub(super) fn position(&self) -> Position {
        (self.job_no, self.sampling_step)
    }

    /// All batches are done: the last moments of a render, or what a failed upscaling left behind.
    fn is_over(&self) -> bool {
        self.job_count > 0 && self.job_no >= self.job_count
    }

    /// Until sampling starts the steps are those of the job before.
    fn is_sampling(&self) -> bool {
        self.sampling_step > 0 && self.sampling_steps > 0
    }
}

/// What is told of renders, and what they have taught.
#[derive(Debug)]
pub(super) struct Reporter {
    settings: ProgressSettings,
    /// In bytes of base64.
    preview_limit: usize,
    history: Mutex<History>,
}

impl Reporter {
    pub(super) fn new(settings: ProgressSettings, preview_limit: usize) -> Self {
        Self {
            settings,
            preview_limit,
            history: Mutex::default(),
        }
    }

    /// Follows the render that is about to be sent.
    pub(super) fn follow<'a>(
        &'a self,
        webui: &'a WebUi,
        call: &Call,
        part: Part,
        ctx: &'a Context,
    ) -> Follower<'a> {
        let asked = Asked::of(call);
        let now = Instant::now();
        let follower = Follower {
            reporter: self,
            webui,
            ctx,
            part,
            tracker: Tracker::new(asked, part),
            forecast: Forecast::begin(asked, &self.history(), now),
            seen_running: false,
            // As the WebUI counts them.
            signs: Signs::of(i64::from(asked.batches()) * i64::from(asked.passes())),
        };
        follower.tell_when_done(now);
        follower
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows one render.
#[derive(Debug)]
pub(super) struct Follower<'a> {
    reporter: &'a Reporter,
    webui: &'a WebUi,
    ctx: &'a Context,
    part: Part,
    tracker: Tracker,
    forecast: Forecast,
    seen_running: bool,
    signs: Signs,
}

impl Follower<'_> {
    /// Asks again and again, one question at a time. Returns when the render is stalled. Failures to ask are
    /// ignored otherwise: the render itself will tell what is wrong.
    pub(super) async fn report(&mut self, stall: &mut Stall) {
        let ProgressSettings {
            progress_interval: every,
            preview,
        } = self.reporter.settings;
        let silent = every.is_zero();
        if silent && stall.is_off() {
            return std::future::pending().await;
        }
        tokio::time::sleep(FIRST_LOOK).await;
        loop {
            let position = match self.webui.progress_with(preview && !silent).await {
                Ok(seen) => {
                    self.seen_running |= seen.is_rendering();
                    self.signs.look(&seen);
                    let position = seen.is_rendering().then(|| seen.state.position());
                    if !silent {
                        self.tell(seen);
                    }
                    position
                }
                Err(error) => {
                    debug!(%error, "no progress to report");
                    None
                }
            };
            if stall.is_stalled(position, std::time::Instant::now()) {
                return;
            }
            tokio::time::sleep(if silent { LOOK_FOR_STALLS } else { every }).await;
        }
    }

    /// Whether the WebUI was seen at work while this render was waited for.
    pub(super) fn seen_running(&self) -> bool {
        self.seen_running
    }

    /// Whether somebody has ended the render before its time, by a look `after` its end.
    pub(super) fn cut_short(&self, after: &Progress) -> Option<CutShort> {
        self.signs.cut_short(after)
    }

    fn tell(&mut self, mut seen: Progress) {
        let preview_limit = self.reporter.preview_limit;
        let now = Instant::now();
        if let Some(look) = Look::new(&seen, now) {
            self.forecast.look(look);
        }
        self.tell_when_done(now);
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
        if let Some(update) = self.tracker.next(&seen, self.left(now), preview) {
            self.ctx.progress(update);
        }
    }

    /// So that the next job can be taken just in time.
    fn tell_when_done(&self, now: Instant) {
        if let Some(left) = self.left(now) {
            self.ctx.finishing_in(left);
        }
    }

    /// The time left for the whole job.
    fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.forecast.left(now)?;
        Some(self.part.time_left(left, self.forecast.whole(left, now)))
    }

    /// The render is done: later ones are known the better for it. After the last part of a job what is left is to
    /// hand it over.
    pub(super) fn finished(self) {
        self.forecast
            .finished(&mut self.reporter.history(), Instant::now());
        if self.part.is_last() && !self.reporter.settings.progress_interval.is_zero() {
            self.ctx.progress(self.tracker.done());
        }
    }

    /// The last thing that was told, in words.
    pub(super) fn last_seen(&self) -> Option<String> {
        self.tracker.last_seen()
    }
}
