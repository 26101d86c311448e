//! The settings of a worker: the platform's variables, the worker's own, and those of the program.
//!
//! - [`table`](VARIABLES): the worker's own variables, written once. [`form`]: how their texts are read.
//! - `settings`: all settings of a worker, the program's overridden by the environment's.
//! - `config`: the platform's variables, which a deployed worker needs.

mod concurrency;
mod config;
pub mod form;
mod intake;
mod journal;
mod limits;
mod load;
mod mode;
#[expect(
    clippy::module_inception,
    reason = "the settings themselves, beside what they are made of"
)]
mod settings;
mod table;
mod take_ahead;
mod unread;
mod url_template;
mod when_abandoned;

pub use concurrency::Concurrency;
pub(crate) use concurrency::Policy;
pub(crate) use config::PROTOCOL_VERSION;
pub(crate) use config::{Config, local_identity};
pub use intake::Intake;
pub(crate) use intake::IntakeState;
pub use journal::Journal;
pub(crate) use limits::WorkerLimits;
pub use load::Load;
pub(crate) use mode::Realtime;
pub use mode::{UnknownWorkerMode, WorkerMode};
pub(crate) use settings::Settings;
pub use table::{Environment, VARIABLES, Variable, VariableProblem};
pub use take_ahead::{TakeAhead, UnknownTakeAhead};
pub use unread::{OwnVariables, UnreadVariable, set_variables, unread};
pub(crate) use url_template::Template;
pub use when_abandoned::{UnknownWhenAbandoned, WhenAbandoned};
