//! The one lock that every generation takes (§1), fair and in order of arrival.

use super::SimGpu;

/// A place in the queue, given up on drop.
///
/// Taking the place and waiting for its turn are two acts: the place is taken while the request is being
/// routed, so that the order of the queue is the order of arrival, however long a body takes to parse.
#[derive(Debug)]
pub(crate) struct QueuePlace {
    gpu: SimGpu,
    number: u64,
}

impl QueuePlace {
    pub(super) fn take(gpu: SimGpu) -> Self {
        let number = gpu.change(|state| {
            state.next_place += 1;
            state.queue.push_back(state.next_place);
            state.next_place
        });
        Self { gpu, number }
    }

    /// Waits until every earlier place has been given up.
    pub(crate) async fn turn(&self) {
        self.gpu
            .wait_until(|state| state.queue.front() == Some(&self.number))
            .await;
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        self.gpu
            .change(|state| state.queue.retain(|&place| place != self.number));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Clock, SimGpu};

    #[tokio::test]
    async fn places_are_served_in_the_order_they_were_taken() {
        let gpu = SimGpu::new(Clock::Real { step: Duration::ZERO }, Vec::new());
        let (first, second, third) = (gpu.take_place(), gpu.take_place(), gpu.take_place());
        first.turn().await;
        drop(second); // gives up while waiting
        let waiting = tokio::spawn(async move { third.turn().await });
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.expect("its turn comes");
        gpu.idle().await;
    }
}
