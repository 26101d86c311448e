//! RunPod's rate limits, per endpoint and operation (`docs/protocol/endpoint-api.md` §10).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runpod_protocol::sync::Mutex;

/// Calls are counted in windows of this length.
const WINDOW: Duration = Duration::from_secs(10);

/// Operations that are limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OperationClass {
    Run,
    RunSync,
    Status,
    StatusSync,
    Stream,
    OpenAi,
    Cancel,
    Requests,
    PurgeQueue,
}

impl OperationClass {
    /// Most calls in a window, and most calls at a time.
    fn limits(self) -> (u32, u32) {
        match self {
            Self::RunSync | Self::Status | Self::StatusSync | Self::Stream | Self::OpenAi => (2000, 400),
            Self::Run => (1000, 200),
            Self::Cancel => (100, 20),
            Self::Requests => (10, 2),
            Self::PurgeQueue => (2, u32::MAX),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    window: Duration,
    in_window: u32,
    at_once: u32,
}

/// Counts an endpoint's calls. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct RateLimits(Arc<Mutex<BTreeMap<OperationClass, Usage>>>);

/// One admitted call, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Admitted {
    limits: RateLimits,
    class: OperationClass,
}

impl RateLimits {
    /// Admits a call at `now`; `None` once a limit is reached.
    pub(crate) fn admit(&self, class: OperationClass, now: Duration) -> Option<Admitted> {
        let (most_in_window, most_at_once) = class.limits();
        let admitted = self.change(class, |usage| {
            if now.saturating_sub(usage.window) >= WINDOW {
                usage.window = now;
                usage.in_window = 0;
            }
            let room = usage.in_window < most_in_window && usage.at_once < most_at_once;
            if room {
                usage.in_window += 1;
                usage.at_once += 1;
            }
            room
        });
        admitted.then(|| Admitted {
            limits: self.clone(),
            class,
        })
    }

    fn change<T>(&self, class: OperationClass, change: impl FnOnce(&mut Usage) -> T) -> T {
        change(self.0.lock().entry(class).or_default())
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.limits.change(self.class, |usage| usage.at_once -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_admits_its_limit_and_the_next_one_as_many_again() {
        let limits = RateLimits::default();
        let admitted = |seconds| {
            limits
                .admit(OperationClass::PurgeQueue, Duration::from_secs(seconds))
                .is_some()
        };
        assert_eq!(
            [0, 1, 2, 9, 10, 11, 12].map(admitted),
            [true, true, false, false, true, true, false]
        );
    }

    #[test]
    fn calls_at_a_time_are_limited_and_count_until_they_end() {
        let limits = RateLimits::default();
        let admit = || limits.admit(OperationClass::Requests, Duration::ZERO);
        let (first, second) = (admit(), admit());
        assert!(first.is_some() && second.is_some() && admit().is_none());
        drop(first);
        assert!(admit().is_some());
    }

    #[test]
    fn operations_are_counted_apart() {
        let limits = RateLimits::default();
        let all: Vec<_> = (0..200)
            .filter_map(|_| limits.admit(OperationClass::Run, Duration::ZERO))
            .collect();
        assert_eq!(all.len(), 200);
        assert!(limits.admit(OperationClass::Run, Duration::ZERO).is_none());
        assert!(limits.admit(OperationClass::RunSync, Duration::ZERO).is_some());
    }
}
