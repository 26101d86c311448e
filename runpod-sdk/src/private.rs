//! What the code that `#[handler]` generates may call. Not for people.

pub use crate::handler::{HandlerResult, JobInput};
