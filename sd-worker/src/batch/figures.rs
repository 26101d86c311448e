//! Counts renders and their jobs, for the metrics.

use runpod_sdk::metrics::types::{Counter, Histogram};

/// Sizes of batches.
const SIZES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Its clones count together.
#[derive(Debug, Clone)]
pub(crate) struct BatchFigures {
    /// The jobs of each render.
    pub(crate) jobs: Histogram,
    /// Batches that failed and were rendered again in halves.
    pub(crate) halved: Counter,
}

impl Default for BatchFigures {
    fn default() -> Self {
        Self {
            jobs: Histogram::new(SIZES),
            halved: Counter::default(),
        }
    }
}
