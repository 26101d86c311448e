//! A mock as a test sees it: its options, and the running server.

mod builder;
mod recorded;
mod running;

pub use builder::{MockWebUiBuilder, StartError};
pub use running::MockWebUi;
