//! The kinds of values of variables, and how their texts are read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A kind of value, and how its text is read.
pub trait Form {
    /// The type of the value.
    type Value;

    /// Reads a text that is not blank.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, and what to write instead.
    fn read(text: &str) -> Result<Self::Value, String>;
}

/// A time such as `90s`.
#[derive(Debug)]
pub enum Time {}

impl Form for Time {
    type Value = Duration;

    fn read(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text).map_err(|error| format!("{error}; write a time such as 90s or 10m"))
    }
}

/// A time above zero.
#[derive(Debug)]
pub enum PositiveTime {}

impl Form for PositiveTime {
    type Value = Duration;

    fn read(text: &str) -> Result<Duration, String> {
        Time::read(text).and_then(|time| {
            if time.is_zero() {
                Err(NO_TIME.to_owned())
            } else {
                Ok(time)
            }
        })
    }
}

/// The problem of a time of zero in which nothing could be done.
pub(super) const NO_TIME: &str = "no time at all is too little; write a time such as 90s or 10m";

/// A number from 1.
#[derive(Debug)]
pub enum Count {}

impl Form for Count {
    type Value = NonZeroUsize;

    fn read(text: &str) -> Result<NonZeroUsize, String> {
        text.parse()
            .map_err(|error| format!("{error}; write a number from 1"))
    }
}

/// A number from 0.
#[derive(Debug)]
pub enum Number {}

impl Form for Number {
    type Value = usize;

    fn read(text: &str) -> Result<usize, String> {
        text.parse()
            .map_err(|error| format!("{error}; write a number from 0"))
    }
}

/// A number of bytes.
#[derive(Debug)]
pub enum Bytes {}

impl Form for Bytes {
    type Value = u64;

    fn read(text: &str) -> Result<u64, String> {
        text.parse()
            .map_err(|error| format!("{error}; write a number of bytes"))
    }
}

/// `true` or `false`, in any case.
#[derive(Debug)]
pub enum Switch {}

impl Form for Switch {
    type Value = bool;

    fn read(text: &str) -> Result<bool, String> {
        text.to_ascii_lowercase()
            .parse()
            .map_err(|_| "write true or false".to_owned())
    }
}

/// Any text.
#[derive(Debug)]
pub enum Text {}

impl Form for Text {
    type Value = String;

    fn read(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// Texts, separated by commas.
#[derive(Debug)]
pub enum List {}

impl Form for List {
    type Value = Vec<String>;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let items = text.split(',').map(|item| item.trim().to_owned());
        Ok(items.filter(|item| !item.is_empty()).collect())
    }
}

/// A path.
#[derive(Debug)]
pub enum File {}

impl Form for File {
    type Value = PathBuf;

    fn read(text: &str) -> Result<PathBuf, String> {
        Ok(text.into())
    }
}

/// A value, or the word `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOrOff<T> {
    /// The word `off`.
    Off,
    /// The value.
    Value(T),
}

impl<T> From<ValueOrOff<T>> for Option<T> {
    fn from(value: ValueOrOff<T>) -> Self {
        match value {
            ValueOrOff::Off => None,
            ValueOrOff::Value(value) => Some(value),
        }
    }
}

/// Reads a [`ValueOrOff`].
#[derive(Debug)]
pub struct OrOff<F>(std::marker::PhantomData<F>);

impl<F: Form> Form for OrOff<F> {
    type Value = ValueOrOff<F::Value>;

    fn read(text: &str) -> Result<Self::Value, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(ValueOrOff::Off);
        }
        F::read(text).map(ValueOrOff::Value)
    }
}

/// An IP address.
#[derive(Debug)]
pub enum Host {}

impl Form for Host {
    type Value = IpAddr;

    fn read(text: &str) -> Result<IpAddr, String> {
        text.parse()
            .map_err(|_| "write an IP address such as 127.0.0.1 or 0.0.0.0".to_owned())
    }
}

/// A port of this machine alone, or a whole address.
#[derive(Debug)]
pub enum Address {}

impl Form for Address {
    type Value = SocketAddr;

    fn read(text: &str) -> Result<SocketAddr, String> {
        if let Ok(port) = text.parse::<u16>() {
            return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        }
        text.parse().map_err(|_| {
            "write a port such as 9090, which this machine alone can reach, \
             an address such as 0.0.0.0:9090, or off"
                .to_owned()
        })
    }
}

/// One of the words that the type reads.
#[derive(Debug)]
pub struct Word<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err: std::fmt::Display>> Form for Word<T> {
    type Value = T;

    /// Neither case nor the kind of dash makes a difference.
    fn read(text: &str) -> Result<T, String> {
        let lower = text.to_ascii_lowercase();
        lower
            .parse()
            .or_else(|error: T::Err| lower.replace('-', "_").parse().map_err(|_| error))
            .or_else(|error| lower.replace('_', "-").parse().map_err(|_| error))
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{TakeAhead, WhenAbandoned, WorkerMode};

    #[test]
    fn a_word_is_read_in_any_case_and_with_any_dash() {
        for text in ["just_in_time", "Just-In-Time", "JUST_IN_TIME"] {
            assert_eq!(Word::<TakeAhead>::read(text), Ok(TakeAhead::JustInTime));
        }
        for text in ["load-balancing", "LOAD_BALANCING"] {
            assert_eq!(Word::<WorkerMode>::read(text), Ok(WorkerMode::LoadBalancing));
        }
        assert_eq!(
            Word::<WhenAbandoned>::read("Post-Error"),
            Ok(WhenAbandoned::PostError)
        );
        assert_eq!(
            Word::<TakeAhead>::read("sometimes"),
            Err("not one of off, always and just_in_time".to_owned())
        );
        assert_eq!(OrOff::<File>::read("OFF"), Ok(ValueOrOff::Off));
    }
}
