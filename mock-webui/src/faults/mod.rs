//! Breaking the mock on purpose.
//!
//! A [`Fault`] says what goes wrong, on which routes and how often. Faults come from the builder, from a
//! running test ([`MockWebUi::inject`](crate::MockWebUi::inject)), from a [`Scenario`] file, or over the
//! admin route.
//!
//! A new kind of fault needs two lines: a row in `kind.rs`, and its effect in `effects.rs`.

mod effects;
mod fault;
mod kind;
mod parse;
mod plan;
mod scenario;

pub(crate) use effects::{ActiveFaults, AnswerFault};
pub use fault::Fault;
pub(crate) use fault::is_generation;
pub use kind::{ClearedBy, FaultKind, FaultKindInfo};
pub(crate) use plan::FaultPlan;
pub use scenario::{Scenario, ScenarioError};
