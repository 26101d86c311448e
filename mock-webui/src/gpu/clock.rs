//! What makes a render move.

use std::time::Duration;

/// The pace of the simulated GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Each sampling step lasts this long.
    Real { step: Duration },
    /// Steps happen when the test says so.
    Manual,
}
