//! What each kind of fault does, and the faults that are active for one request.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Notify;

use super::kind::{ClearedBy, FaultKind};
use crate::answer::Answer;
use crate::phase::Phase;

/// The faults that hit one request, sorted by the place where they act.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActiveFaults {
    /// An answer in place of the server's own.
    pub(crate) replacement: Option<Answer>,
    /// An exception of the route: its class and text.
    pub(crate) exception: Option<(String, String)>,
    pub(crate) out_of_memory: Option<ClearedBy>,
    /// Megabytes of the computer's memory that this render occupies for ever.
    pub(crate) grow_megabytes: usize,
    /// The render ends in `NansException`.
    pub(crate) nan: bool,
    /// A render ends so if a prompt has one of these texts.
    pub(crate) nan_for: Vec<String>,
    /// The most pictures of a batch that the card has room for.
    pub(crate) most_pictures: Option<usize>,
    pub(crate) ignore_loras: bool,
    /// Fields of the request that have no effect.
    pub(crate) forgotten_fields: Vec<String>,
    /// A change of the checkpoint leaves the old one loaded.
    pub(crate) keep_old_model: bool,
    /// The process dies at this step.
    pub(crate) die_at: Option<u32>,
    /// The render stands still at this step. True: an interrupt does not end it.
    pub(crate) stall_at: Option<(u32, bool)>,
    /// The connection is cut at this step.
    pub(crate) cut_at: Option<u32>,
    /// Notified when the connection is to be cut while the render goes on.
    pub(crate) cut: Arc<Notify>,
    /// How long the route waits before it does anything.
    pub(crate) delay: Duration,
    /// What happens to the finished answer, in order.
    pub(crate) on_answer: Vec<AnswerFault>,
}

/// What happens to a finished answer on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnswerFault {
    Drop,
    /// 429 in its place.
    RateLimit,
    HalfJson,
    CutBody,
    StallBody,
    SlowDrip {
        bytes: usize,
        every: Duration,
    },
    HalfClose,
    Garbage,
}

/// A lasting state of the server, which no single request uses up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Condition {
    /// Gigabytes that each change of the checkpoint leaves occupied.
    LeakPerModelSwitch(f64),
    /// The phase that the server's start stays in.
    HeldPhase(Phase),
    /// A request this soon after the answer before it loses its connection at the keep-alive limit of that answer.
    KeepAliveTimer(Duration),
}

/// A request that comes later than this after an answer is not hit by uvicorn's fault of its keep-alive timer.
const QUIET: Duration = Duration::from_millis(50);

/// What a kind of fault is for the mock: a condition of the server, or something that happens to a request.
pub(crate) enum Effect {
    Condition(Condition),
    Request(Box<dyn FnOnce(&mut ActiveFaults)>),
}

impl FaultKind {
    /// The effect of each kind. A new kind does not compile until it has one.
    pub(crate) fn effect(&self) -> Effect {
        use Effect::Condition as Lasting;
        match self.clone() {
            Self::LeakPerModelSwitch { gigabytes } => Lasting(Condition::LeakPerModelSwitch(gigabytes)),
            Self::NeverReady => Lasting(Condition::HeldPhase(Phase::Refusing)),
            Self::UpButNoModel => Lasting(Condition::HeldPhase(Phase::ModelLoading)),

            Self::KeepAliveTimer => Lasting(Condition::KeepAliveTimer(QUIET)),

            Self::SlowAnswer { ms } => request(move |faults| faults.delay += Duration::from_millis(ms)),
            Self::Status { status } => request(move |faults| faults.replacement = Some(proxy_page(status))),
            Self::PlainText500 => request(|faults| faults.replacement = Some(plain_text_500())),

            Self::Exception { class, text } => request(|faults| faults.exception = Some((class, text))),
            Self::OutOfMemory { until } => request(move |faults| faults.out_of_memory = Some(until)),
            Self::GrowMemory { megabytes } => request(move |faults| faults.grow_megabytes += megabytes),
            Self::Nan => request(|faults| faults.nan = true),
            Self::NanFor { text } => request(|faults| faults.nan_for.push(text)),
            Self::OutOfMemoryAbove { pictures } => {
                request(move |faults| faults.most_pictures = Some(pictures))
            }
            Self::IgnoreLora => request(|faults| faults.ignore_loras = true),
            Self::ForgetFields { fields } => request(|faults| faults.forgotten_fields.extend(fields)),
            Self::WrongModel => request(|faults| faults.keep_old_model = true),
            Self::DieAt { step } => request(move |faults| faults.die_at = Some(step)),
            Self::StallAt { step, deaf } => request(move |faults| faults.stall_at = Some((step, deaf))),
            Self::DropMidStep { step } => request(move |faults| faults.cut_at = Some(step)),

            Self::DropAfterGenerate => on_answer(AnswerFault::Drop),
            Self::RateLimit => on_answer(AnswerFault::RateLimit),
            Self::HalfJson => on_answer(AnswerFault::HalfJson),
            Self::CutBody => on_answer(AnswerFault::CutBody),
            Self::StallBody => on_answer(AnswerFault::StallBody),
            Self::SlowDrip { bytes, every_ms } => on_answer(AnswerFault::SlowDrip {
                bytes,
                every: Duration::from_millis(every_ms),
            }),
            Self::HalfClose => on_answer(AnswerFault::HalfClose),
            Self::Garbage => on_answer(AnswerFault::Garbage),
        }
    }
}

fn request(apply: impl FnOnce(&mut ActiveFaults) + 'static) -> Effect {
    Effect::Request(Box::new(apply))
}

fn on_answer(fault: AnswerFault) -> Effect {
    request(|faults| faults.on_answer.push(fault))
}

fn proxy_page(status: u16) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let page = format!("<html><body><h1>{status}</h1></body></html>\n");
    Answer::raw(status, Some("text/html"), page).untimed()
}

fn plain_text_500() -> Answer {
    Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").untimed()
}
