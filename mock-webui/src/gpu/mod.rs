//! The simulated GPU: one render at a time, in order of arrival, on a clock the test may hold.
//!
//! All state lives in one [`watch`] channel, so that a test can wait for any condition without polling,
//! and every change of several values is seen at once or not at all.

mod clock;
mod cost;
pub(crate) mod picture;
mod queue;
mod state;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

pub(crate) use clock::Clock;
use cost::BatchCosts;
pub(crate) use queue::QueuePlace;
pub use state::Progress;
pub(crate) use state::{GpuState, Preview, time_stamp};

/// Handle to a simulated GPU. Cheap to clone; all clones are the same card.
///
/// ```
/// # use mock_webui::MockWebUi;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let _ = rustls::crypto::ring::default_provider().install_default();
/// let webui = MockWebUi::builder().manual_clock().start().await;
/// let client = reqwest::Client::new();
/// let job = client
///     .post(format!("{}/sdapi/v1/txt2img", webui.url()))
///     .json(&serde_json::json!({ "prompt": "a cat", "steps": 20, "width": 64, "height": 64 }));
/// let job = tokio::spawn(job.send());
///
/// webui.gpu().rendering().await; // the job has reached the card
/// webui.gpu().advance(5).await;
/// assert_eq!(webui.gpu().progress().sampling_step, 5);
/// webui.gpu().advance(15).await;
/// assert!(job.await??.status().is_success());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct SimGpu {
    card: watch::Sender<GpuState>,
    clock: Clock,
    costs: BatchCosts,
}

/// Steps at which something other than sampling happens.
#[derive(Debug, Default)]
pub(crate) struct SamplingHooks {
    /// Sampling ends here.
    pub(crate) stop_at: Option<u32>,
    /// The notification is sent here, and sampling goes on.
    pub(crate) notify_at: Option<(u32, Arc<Notify>)>,
    /// Sampling stands still here until an interrupt; `true`: for ever.
    pub(crate) stall: Option<(u32, bool)>,
}

/// How the sampling of one batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sampled {
    /// Steps really done.
    pub(crate) steps: u32,
}

impl SimGpu {
    /// `costs` are those of a step of a batch of 1, 2, 4, 8 … pictures, by that of one.
    pub(crate) fn new(clock: Clock, costs: Vec<f64>) -> Self {
        Self {
            card: watch::Sender::new(GpuState::default()),
            clock,
            costs: BatchCosts::new(costs),
        }
    }

    /// Lets the running render do `steps` sampling steps. For [a manual clock] only.
    ///
    /// Waits for a render to start if none is running, and returns once the steps are done. Steps that
    /// one render does not need go to the next in the queue; when the queue is empty the rest is dropped.
    /// Returns the number of steps done. On a real clock this does nothing and returns 0.
    ///
    /// [a manual clock]: crate::MockWebUiBuilder::manual_clock
    pub async fn advance(&self, steps: u32) -> u32 {
        if self.clock != Clock::Manual {
            return 0;
        }
        self.rendering().await;
        let mut before = 0;
        self.card.send_modify(|state| {
            before = state.steps_done;
            state.steps_granted = state.steps_granted.max(before) + u64::from(steps);
        });
        self.wait_until(|state| state.steps_done >= state.steps_granted || state.queue.is_empty())
            .await;
        let mut done = 0;
        self.card.send_modify(|state| {
            done = state.steps_done - before;
            if state.queue.is_empty() {
                state.steps_granted = state.steps_done;
            }
        });
        u32::try_from(done).unwrap_or(u32::MAX)
    }

    /// What the card is doing now.
    pub fn progress(&self) -> Progress {
        Progress::of(&self.card.borrow())
    }

    /// Waits until a render runs: it has left the queue, the model is loaded and sampling has begun.
    /// Returns at once when one is running.
    pub async fn rendering(&self) {
        self.wait_until(|state| state.sampling).await;
    }

    /// Waits until this many renders have begun since the start. A render begins when it leaves the queue,
    /// which is before the model is loaded and before its first step.
    pub async fn begun(&self, renders: u64) {
        self.wait_until(|state| state.renders >= renders).await;
    }

    /// Waits until nothing runs and nothing waits.
    pub async fn idle(&self) {
        self.wait_until(|state| state.queue.is_empty()).await;
    }

    /// Waits until `count` requests hold a place in the queue, the running one included.
    pub async fn queued(&self, count: usize) {
        self.wait_until(|state| state.queue.len() >= count).await;
    }

    /// How often an interrupt was asked for, idle ones included.
    pub fn interrupts(&self) -> u64 {
        self.card.borrow().interrupts
    }

    /// How many renders have begun since the start.
    pub fn renders(&self) -> u64 {
        self.card.borrow().renders
    }

    /// How many sampling steps have been done since the start, over all renders.
    pub fn steps_done(&self) -> u64 {
        self.card.borrow().steps_done
    }

    /// A process has died: the next one knows nothing of its jobs.
    pub(crate) fn forget(&self) {
        self.change(|state| {
            state.begin("");
            state.end();
            state.job_timestamp = None;
            state.sampling_steps = 0;
            state.sampling = false;
            state.pending_tasks.clear();
            state.finished_tasks.clear();
        });
    }

    pub(crate) fn interrupt(&self) {
        self.card.send_modify(|state| {
            state.interrupts += 1;
            state.interrupted = true;
        });
    }

    pub(crate) fn skip(&self) {
        self.card.send_modify(|state| state.skipped = true);
    }

    /// Takes the last place in the queue. Called in the order of arrival.
    pub(crate) fn take_place(&self) -> QueuePlace {
        QueuePlace::take(self.clone())
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&GpuState) -> T) -> T {
        look(&self.card.borrow())
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut GpuState) -> T) -> T {
        let mut result = None;
        self.card.send_modify(|state| result = Some(change(state)));
        result.expect("send_modify runs its closure")
    }

    async fn wait_until(&self, condition: impl FnMut(&GpuState) -> bool) {
        // The sender lives in `self`, so the channel cannot be closed.
        let _ = self.card.subscribe().wait_for(condition).await;
    }

    /// Runs one batch of sampling: `steps` ticks of the clock, ended early by interrupt or skip.
    pub(crate) async fn sample(&self, steps: u32, preview: Preview, hooks: SamplingHooks) -> Sampled {
        let cost = self.costs.of(preview.scenes.len());
        self.change(|state| {
            state.sampling = true;
            state.sampling_step = 0;
            state.sampling_steps = steps;
            state.preview = Some(preview);
        });
        let mut done = 0;
        loop {
            if let Some((_, notify)) = hooks.notify_at.as_ref().filter(|(step, _)| *step == done) {
                notify.notify_one();
            }
            match hooks.stall {
                Some((step, false)) if step == done => {
                    self.wait_until(|state| state.interrupted || state.skipped).await;
                }
                // The death of the process drops this.
                Some((step, true)) if step == done => std::future::pending().await,
                _ => {}
            }
            if done == steps || hooks.stop_at == Some(done) || !self.step(done + 1, steps, cost).await {
                break;
            }
            done += 1;
        }
        self.change(|state| state.sampling = false);
        Sampled { steps: done }
    }

    /// One step. False when the render was interrupted or skipped instead.
    async fn step(&self, number: u32, of: u32, cost: f64) -> bool {
        let stopped = |state: &GpuState| state.interrupted || state.skipped;
        match self.clock {
            Clock::Manual => {
                self.wait_until(|state| stopped(state) || state.steps_done < state.steps_granted)
                    .await;
            }
            Clock::Real { step } if step > Duration::ZERO => tokio::time::sleep(step.mul_f64(cost)).await,
            Clock::Real { .. } => {}
        }
        self.change(|state| {
            if stopped(state) {
                return false;
            }
            state.steps_done += 1;
            // The last step is still shown as running while the picture is decoded (§7).
            state.sampling_step = number.min(of - 1);
            state.sampling = number < of;
            true
        })
    }
}
