//! A fault: its kind, where it happens and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::effects::Effect;
use super::kind::{ClearedBy, FaultKind};

/// The routes that a fault concerns unless it says otherwise.
const GENERATION: [&str; 2] = ["/sdapi/v1/txt2img", "/sdapi/v1/img2img"];

/// Whether this path is a route that renders from a prompt.
pub(crate) fn is_generation(path: &str) -> bool {
    GENERATION.contains(&path)
}

/// Something that goes wrong, where and how often.
///
/// Made by its constructors: once, on txt2img and img2img. [`times`](Self::times), [`sticky`](Self::sticky),
/// [`on`](Self::on), [`after`](Self::after) and [`chance`](Self::chance) change that.
///
/// ```
/// use mock_webui::{Fault, MockWebUi};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let _ = rustls::crypto::ring::default_provider().install_default();
/// let webui = MockWebUi::builder().fault(Fault::status(503).times(2)).start().await;
/// let post = || reqwest::Client::new().post(format!("{}/sdapi/v1/txt2img", webui.url())).body("{}").send();
/// assert_eq!(post().await?.status(), 503);
/// assert_eq!(post().await?.status(), 503);
/// assert_eq!(post().await?.status(), 200);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Fault {
    #[serde(flatten)]
    pub(crate) kind: FaultKind,
    /// How often it happens; 0 means for ever.
    pub(super) times: u32,
    /// How many matching requests are spared first.
    pub(super) after: u32,
    /// The probability that a matching request is hit, 0–1.
    pub(super) chance: f64,
    /// The route, or nothing for txt2img and img2img, or `*` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on: Option<String>,
}

impl Fault {
    /// A fault of this kind, once, on the generation routes.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            times: 1,
            after: 0,
            chance: 1.0,
            on: None,
        }
    }

    /// [`FaultKind::Status`].
    pub fn status(status: u16) -> Self {
        Self::new(FaultKind::Status { status })
    }

    /// [`FaultKind::PlainText500`].
    pub fn plain_text_500() -> Self {
        Self::new(FaultKind::PlainText500)
    }

    /// [`FaultKind::OutOfMemory`].
    pub fn out_of_memory(until: ClearedBy) -> Self {
        Self::new(FaultKind::OutOfMemory { until })
    }

    /// [`FaultKind::Exception`].
    pub fn exception(class: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(FaultKind::Exception {
            class: class.into(),
            text: text.into(),
        })
    }

    /// [`FaultKind::Nan`].
    pub fn nan() -> Self {
        Self::new(FaultKind::Nan)
    }

    /// [`FaultKind::NanFor`], until it is cleared.
    pub fn nan_for(text: impl Into<String>) -> Self {
        Self::new(FaultKind::NanFor { text: text.into() }).sticky()
    }

    /// [`FaultKind::OutOfMemoryAbove`], until it is cleared.
    pub fn out_of_memory_above(pictures: usize) -> Self {
        Self::new(FaultKind::OutOfMemoryAbove { pictures }).sticky()
    }

    /// [`FaultKind::LeakPerModelSwitch`], until it is cleared.
    pub fn leak_per_model_switch(gigabytes: f64) -> Self {
        Self::new(FaultKind::LeakPerModelSwitch { gigabytes })
    }

    /// [`FaultKind::IgnoreLora`].
    pub fn ignore_lora() -> Self {
        Self::new(FaultKind::IgnoreLora)
    }

    /// [`FaultKind::ForgetFields`].
    pub fn forget_fields(fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let fields = fields.into_iter().map(Into::into).collect();
        Self::new(FaultKind::ForgetFields { fields })
    }

    /// [`FaultKind::WrongModel`].
    pub fn wrong_model() -> Self {
        Self::new(FaultKind::WrongModel)
    }

    /// [`FaultKind::NeverReady`].
    pub fn never_ready() -> Self {
        Self::new(FaultKind::NeverReady)
    }

    /// [`FaultKind::UpButNoModel`].
    pub fn up_but_no_model() -> Self {
        Self::new(FaultKind::UpButNoModel)
    }

    /// [`FaultKind::DieAt`].
    pub fn die_at(step: u32) -> Self {
        Self::new(FaultKind::DieAt { step })
    }

    /// [`FaultKind::StallAt`], for a render that an interrupt ends.
    pub fn stall_at(step: u32) -> Self {
        Self::new(FaultKind::StallAt { step, deaf: false })
    }

    /// [`FaultKind::StallAt`], for a render that nothing ends.
    pub fn hang_at(step: u32) -> Self {
        Self::new(FaultKind::StallAt { step, deaf: true })
    }

    /// [`FaultKind::GrowMemory`].
    pub fn grow_memory(megabytes: usize) -> Self {
        Self::new(FaultKind::GrowMemory { megabytes })
    }

    /// [`FaultKind::DropAfterGenerate`].
    pub fn drop_after_generate() -> Self {
        Self::new(FaultKind::DropAfterGenerate)
    }

    /// [`FaultKind::DropMidStep`].
    pub fn drop_mid_step(step: u32) -> Self {
        Self::new(FaultKind::DropMidStep { step })
    }

    /// [`FaultKind::HalfJson`].
    pub fn half_json() -> Self {
        Self::new(FaultKind::HalfJson)
    }

    /// [`FaultKind::CutBody`].
    pub fn cut_body() -> Self {
        Self::new(FaultKind::CutBody)
    }

    /// [`FaultKind::StallBody`].
    pub fn stall_body() -> Self {
        Self::new(FaultKind::StallBody)
    }

    /// [`FaultKind::SlowDrip`].
    pub fn slow_drip(bytes: usize, every: Duration) -> Self {
        let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        Self::new(FaultKind::SlowDrip { bytes, every_ms })
    }

    /// [`FaultKind::HalfClose`].
    pub fn half_close() -> Self {
        Self::new(FaultKind::HalfClose)
    }

    /// [`FaultKind::Garbage`].
    pub fn garbage() -> Self {
        Self::new(FaultKind::Garbage)
    }

    /// [`FaultKind::SlowAnswer`].
    pub fn slow_answer(delay: Duration) -> Self {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self::new(FaultKind::SlowAnswer { ms })
    }

    /// [`FaultKind::RateLimit`].
    pub fn rate_limit() -> Self {
        Self::new(FaultKind::RateLimit)
    }

    /// [`FaultKind::KeepAliveTimer`], until it is cleared.
    pub fn keep_alive_timer() -> Self {
        Self::new(FaultKind::KeepAliveTimer)
    }

    /// What goes wrong.
    pub fn kind(&self) -> &FaultKind {
        &self.kind
    }

    /// Happens on this many matching requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Happens on every matching request until it is cleared.
    #[must_use]
    pub fn sticky(self) -> Self {
        self.times(0)
    }

    /// Spares this many matching requests first. Default: 0.
    #[must_use]
    pub fn after(mut self, spared: u32) -> Self {
        self.after = spared;
        self
    }

    /// Hits a matching request with this probability, 0–1. Default: 1. A [`Scenario`](crate::Scenario)'s seed makes the
    /// choice repeatable.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Self {
        self.chance = probability;
        self
    }

    /// The route it concerns, such as `/sdapi/v1/sd-models`; `*` for all. Default: txt2img and img2img.
    #[must_use]
    pub fn on(mut self, path: impl Into<String>) -> Self {
        self.on = Some(path.into());
        self
    }

    /// Whether it is a lasting state of the server, which no single request uses up.
    pub(super) fn is_condition(&self) -> bool {
        matches!(self.kind.effect(), Effect::Condition(_))
    }

    pub(super) fn concerns(&self, path: &str) -> bool {
        match self.on.as_deref() {
            // The one fault that settings run into as well.
            None if self.kind == FaultKind::WrongModel && path == "/sdapi/v1/options" => true,
            None => is_generation(path),
            Some("*") => true,
            Some(route) => route == path,
        }
    }
}
