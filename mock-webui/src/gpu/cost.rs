//! What a step of a batch costs, by that of one picture.

use std::sync::Arc;

/// The costs of a step of a batch of 1, 2, 4, 8 … pictures. Between two of these sizes, and beyond the last, they lie on
/// a straight line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BatchCosts(Arc<[f64]>);

impl BatchCosts {
    pub(super) fn new(costs: Vec<f64>) -> Self {
        Self(costs.into())
    }

    /// The cost of a step of a batch of this size. Without a list every batch costs as much as one picture.
    pub(super) fn of(&self, pictures: usize) -> f64 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.len().checked_sub(1)) else {
            return 1.0;
        };
        if pictures <= 1 || last == 0 {
            return *first;
        }
        // The size doubles from entry to entry.
        let above = pictures.ilog2() as usize;
        let from = above.min(last - 1);
        #[expect(clippy::cast_precision_loss, reason = "batches are small")]
        let (size, start) = (pictures as f64, (1_usize << from) as f64);
        let (low, high) = (self.0[from], self.0[from + 1]);
        low + (high - low) * (size - start) / start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_between_the_listed_ones_lie_on_a_line() {
        let costs = BatchCosts::new(vec![1.0, 1.1, 1.58, 2.9]);
        for (pictures, cost) in [
            (1, 1.0),
            (2, 1.1),
            (3, 1.34),
            (4, 1.58),
            (6, 2.24),
            (8, 2.9),
            (16, 5.54),
        ] {
            assert!(
                (costs.of(pictures) - cost).abs() < 1e-9,
                "{pictures}: {}",
                costs.of(pictures)
            );
        }
    }

    #[test]
    fn without_a_list_a_batch_costs_as_much_as_one_picture() {
        assert!((BatchCosts::new(Vec::new()).of(8) - 1.0).abs() < f64::EPSILON);
        assert!((BatchCosts::new(vec![2.0]).of(8) - 2.0).abs() < f64::EPSILON);
    }
}
