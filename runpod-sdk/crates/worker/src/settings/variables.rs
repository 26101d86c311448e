//! Options in the environment: each is read or named, and all that are wrong are told at once.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

/// Reads variables through a lookup. An empty one counts as unset.
#[derive(Debug)]
pub struct Variables<L> {
    lookup: L,
    /// One line for each that cannot be read.
    pub problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Variables<L> {
    /// A reader of what `lookup` finds.
    pub fn new(lookup: L) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    /// Text as it is.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|text| !text.is_empty())
    }

    /// A time such as `90s`.
    pub fn time(&mut self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        let time = humantime::parse_duration(&text)
            .map_err(|error| format!("{error}; write a time such as 90s or 10m"));
        self.read(name, &text, time)
    }

    /// A number from 1.
    pub fn count(&mut self, name: &str) -> Option<NonZeroUsize> {
        let text = self.text(name)?;
        let count = text
            .parse()
            .map_err(|error| format!("{error}; write a number from 1"));
        self.read(name, &text, count)
    }

    /// A number from 0.
    pub fn number(&mut self, name: &str) -> Option<usize> {
        let text = self.text(name)?;
        let number = text
            .parse()
            .map_err(|error| format!("{error}; write a number from 0"));
        self.read(name, &text, number)
    }

    /// `true` or `false`, in any case.
    pub fn switch(&mut self, name: &str) -> Option<bool> {
        let text = self.text(name)?;
        let on = text.to_ascii_lowercase().parse();
        self.read(name, &text, on.map_err(|_| "write true or false"))
    }

    /// What has its own spelling.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        self.read(name, &text, text.parse())
    }

    fn read<T>(&mut self, name: &str, text: &str, value: Result<T, impl fmt::Display>) -> Option<T> {
        value
            .map_err(|problem| self.problems.push(format!("{name}={text}: {problem}")))
            .ok()
    }
}
