//! Whether the next job is fetched before the current one is done.

use std::fmt;
use std::str::FromStr;

/// Whether a worker takes its next job while all its slots are in use.
///
/// A take costs a round trip to the platform, 20–100 ms, and for so long a worker that takes a job
/// only when a slot is free has nothing to do in it. A job that is taken ahead is not worked on yet,
/// but no other worker can have it: that is the price.
///
/// Off where the worker is replaced after its first job
/// ([`refresh_worker`](crate::Worker::refresh_worker)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TakeAhead {
    /// Takes a job only for a free slot.
    #[default]
    Off,
    /// Holds one job more than there are slots, all the time. For short jobs, and where no other worker
    /// could do it sooner.
    Always,
    /// Takes the next job so that it arrives when a running one ends. The handler has to say when that
    /// will be, by [`Context::finishing_in`](crate::Context::finishing_in); how long a take needs is
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

/// Not the name of a way to take ahead.
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
