//! Breaking the mock on purpose.
//!
//! A [`Fault`] says what goes wrong, on which routes and how often. Faults come from the builder, from a
//! running test ([`MockWebUi::inject`](crate::MockWebUi::inject)), from a [`Scenario`] file, or over the
//! admin route.

mod parse;
mod plan;
mod scenario;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use plan::{FaultPlan, Trouble};
pub use scenario::{Scenario, ScenarioError};

/// The routes that a fault concerns unless it says otherwise.
const GENERATION: [&str; 2] = ["/sdapi/v1/txt2img", "/sdapi/v1/img2img"];

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
    times: u32,
    /// How many matching requests are spared first.
    after: u32,
    /// The probability that a matching request is hit, 0–1.
    chance: f64,
    /// The route, or nothing for txt2img and img2img, or `*` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<String>,
}

/// What goes wrong. In a scenario file: the key `kind`, and the fields beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// A proxy in front answers with this status and an HTML page; nothing is rendered.
    Status {
        /// 502, 503 and 504 are the ones that proxies use.
        status: u16,
    },
    /// Status 500 and `Internal Server Error` as plain text; nothing is rendered.
    #[serde(rename = "plain-text-500")]
    PlainText500,
    /// The card has no memory left: status 500 with the error of the real server.
    OutOfMemory {
        /// What ends it.
        #[serde(default)]
        until: Relief,
    },
    /// The generation raises this exception: status 500 with its class and text.
    Exception {
        /// The class, such as `RuntimeError`.
        class: String,
        /// The text.
        text: String,
    },
    /// The picture is not a number: status 500 `NansException`, after all steps.
    Nan,
    /// Every change of the checkpoint leaves memory occupied; when the card is full, generations fail.
    LeakPerModelSwitch {
        /// Gigabytes lost each time. The card has 24 and a model takes 4.
        gigabytes: f64,
    },
    /// `LoRA`s of the prompt are not applied, and nothing says so.
    IgnoreLora,
    /// These fields of the request have no effect, and nothing says so: what is rendered, and what the answer says of
    /// it, is as if they had not been sent.
    ForgetFields {
        /// Names such as `enable_hr`.
        fields: Vec<String>,
    },
    /// A change of the checkpoint is accepted, and the old one stays in use.
    WrongModel,
    /// The port never opens.
    NeverReady,
    /// The port is open and lists are answered, but the model never finishes loading.
    UpButNoModel,
    /// The process dies when a render reaches this step: connections end, the port closes.
    DieAt {
        /// Steps done before.
        step: u32,
    },
    /// The render stands still at this step until it is interrupted.
    StallAt {
        /// Steps done before.
        step: u32,
        /// It does not heed an interrupt either; only the end of the process ends it.
        #[serde(default)]
        deaf: bool,
    },
    /// Every render leaves this much of the computer's memory occupied, really, until the process ends.
    GrowMemory {
        /// Megabytes each time.
        megabytes: usize,
    },
    /// The connection ends without an answer when the render is done.
    DropAfterGenerate,
    /// The connection ends at this step; the render goes on.
    DropMidStep {
        /// Steps done before.
        step: u32,
    },
    /// A complete answer whose JSON stops half-way.
    HalfJson,
    /// The connection ends in the middle of the body, short of the announced length.
    CutBody,
    /// Half the body, then silence on an open connection.
    StallBody,
    /// The body a few bytes at a time.
    SlowDrip {
        /// Bytes a time.
        bytes: usize,
        /// Milliseconds between two times.
        every_ms: u64,
    },
    /// The server closes its side in the middle of the body and keeps listening to the client.
    HalfClose,
    /// Bytes that are not HTTP, in place of the answer.
    Garbage,
}

/// What frees the memory of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Relief {
    /// Nothing needs to: only this request fails.
    #[default]
    Once,
    /// `POST unload-checkpoint`, or a restart.
    Unload,
    /// Only a restart of the program.
    Restart,
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
    pub fn out_of_memory(until: Relief) -> Self {
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

    /// Hits a matching request with this probability, 0–1. Default: 1. A [`Scenario`]'s seed makes the
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
    fn is_condition(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::LeakPerModelSwitch { .. } | FaultKind::NeverReady | FaultKind::UpButNoModel
        )
    }

    fn concerns(&self, path: &str) -> bool {
        match self.on.as_deref() {
            // The one fault that settings run into as well.
            None if self.kind == FaultKind::WrongModel && path == "/sdapi/v1/options" => true,
            None => GENERATION.contains(&path),
            Some("*") => true,
            Some(route) => route == path,
        }
    }
}
