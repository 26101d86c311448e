//! The pauses between polls that the platform does not hold.

use std::time::Duration;

/// The shortest pause between two polls that were answered at once.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Slows polls down while the platform answers them at once.
#[derive(Debug, Default)]
pub(crate) struct PollPace {
    pause: Duration,
}

impl PollPace {
    /// Pauses if a poll that asked for `wait` came back much too early.
    pub(crate) async fn pause_if_early(&mut self, took: Duration, wait: Duration) {
        if took < wait / 2 && took < FIRST_PAUSE {
            self.pause(LONGEST_PAUSE).await;
        } else {
            self.pause = Duration::ZERO;
        }
    }

    /// Pauses, longer each time, but not longer than `at_most`.
    pub(crate) async fn pause(&mut self, at_most: Duration) {
        self.pause = self.pause.mul_f32(1.5).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        tokio::time::sleep(self.pause.min(at_most)).await;
    }
}
