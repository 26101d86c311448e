//! Taking ahead: whether the next job is taken before a slot is free.

use std::fmt;
use std::str::FromStr;

/// Whether a worker takes its next job while all its slots are in use.
///
/// A take costs a round trip to the platform, 20–100 ms. A slot for which a job is taken only once it is free is idle
/// for that time. The price of a job that is taken ahead: it waits here, and no other worker can have it.
///
/// It is off if the worker is replaced after its first job
/// ([`refresh_worker`](crate::Worker::refresh_worker)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TakeAhead {
    /// Takes a job only for a free slot.
    #[default]
    Off,
    /// Always has one job more than slots. For short jobs, and if no other worker could run it sooner.
    Always,
    /// Takes the next job so that it arrives when a running one ends. The handler must estimate that time
    /// by [`Context::finishing_in`](crate::Context::finishing_in); how long a take needs is
    /// measured on the connection. Without estimates the same as [`Off`](Self::Off).
    JustInTime,
}

impl TakeAhead {
    /// All of them, by their names.
    const NAMES: [(&str, Self); 3] = [
        ("off", Self::Off),
        ("always", Self::Always),
        ("just_in_time", Self::JustInTime),
    ];
}

impl fmt::Display for TakeAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Always => "always",
            Self::JustInTime => "just_in_time",
        })
    }
}

/// A text that is no [`TakeAhead`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not one of off, always and just_in_time")]
#[non_exhaustive]
pub struct UnknownTakeAhead;

impl FromStr for TakeAhead {
    type Err = UnknownTakeAhead;

    /// Reads `off`, `always` or `just_in_time`.
    fn from_str(name: &str) -> Result<Self, UnknownTakeAhead> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, ahead)| *ahead)
            .ok_or(UnknownTakeAhead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_by_the_name_it_is_written_with() {
        for ahead in [TakeAhead::Off, TakeAhead::Always, TakeAhead::JustInTime] {
            assert_eq!(ahead.to_string().parse(), Ok(ahead));
        }
        assert_eq!("sometimes".parse::<TakeAhead>(), Err(UnknownTakeAhead));
    }
}
