//! Variables that are set and that nothing reads: misspelt ones, and those of earlier versions.

use std::fmt;

use runpod_protocol::{nearest, variable};

use super::VARIABLES;
use super::table::REMOVED;

/// What the names of the worker's own variables begin with.
const PREFIX: &str = "RUNPOD_WORKER_";

/// A variable that is set and that nothing reads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadVariable {
    /// Its name, as it is set.
    pub name: String,
    /// What to use or to know in its place.
    pub instead: String,
}

impl fmt::Display for UnreadVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is set, and has no effect: {}", self.name, self.instead)
    }
}

/// A program's own variables, whose names begin with one prefix.
///
/// ```
/// use runpod_sdk::settings::OwnVariables;
///
/// let own = OwnVariables { prefix: "PAINTER_", known: &["PAINTER_STEPS"], removed: &[("PAINTER_SPEED", "it is always fast")] };
/// let set = ["PAINTER_STEP", "PAINTER_SPEED", "PATH"].map(str::to_owned);
/// let unread = own.unread_among(set);
/// assert_eq!(unread[0].to_string(), "PAINTER_SPEED is set, and has no effect: it is always fast");
/// assert_eq!(unread[1].to_string(), "PAINTER_STEP is set, and has no effect: did you mean PAINTER_STEPS?");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OwnVariables<'a> {
    /// What the names begin with.
    pub prefix: &'a str,
    /// The names that are read.
    pub known: &'a [&'a str],
    /// The names that earlier versions read, each with what to use or to know in its place.
    pub removed: &'a [(&'a str, &'a str)],
}

impl OwnVariables<'_> {
    /// Each of the names in `set` that has the prefix and is not read, in alphabetical order. Neither case nor the kind of
    /// dash hides a name.
    pub fn unread_among(&self, set: impl IntoIterator<Item = String>) -> Vec<UnreadVariable> {
        let mut unread: Vec<_> = set
            .into_iter()
            .filter(|name| self.has_prefix(name) && !self.known.contains(&&**name))
            .map(|name| UnreadVariable {
                instead: self.instead_of(&name),
                name,
            })
            .collect();
        unread.sort_by(|one, other| one.name.cmp(&other.name));
        unread
    }

    fn has_prefix(&self, name: &str) -> bool {
        let start = name.get(..self.prefix.len());
        start.is_some_and(|start| start.replace('-', "_").eq_ignore_ascii_case(self.prefix))
    }

    fn instead_of(&self, name: &str) -> String {
        if let Some((_, instead)) = self.removed.iter().find(|(removed, _)| *removed == name) {
            return (*instead).to_owned();
        }
        // The prefix is equal in all of them and says nothing about likeness.
        let own = |name: &'_ str| name.len().min(self.prefix.len());
        let known = self.known.iter().map(|known| &known[own(known)..]);
        match nearest(&name[own(name)..], known) {
            Some(near) => format!("did you mean {}{near}?", self.prefix),
            None => format!(
                "no variable of this worker has this name; --help lists those of {}…",
                self.prefix
            ),
        }
    }
}

/// The names of the variables in this process's environment. A blank variable counts as unset.
pub fn set_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names
        .filter(|name| variable::from_environment(name).is_some())
        .collect()
}

/// Each of the names in `set` that looks like one of a worker's [`VARIABLES`] and is none.
///
/// [`start`](crate::start) and [`Worker::run`](crate::Worker::run) log them as warnings.
pub fn unread(set: impl IntoIterator<Item = String>) -> Vec<UnreadVariable> {
    let known: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    let own = OwnVariables {
        prefix: PREFIX,
        known: &known,
        removed: REMOVED,
    };
    own.unread_among(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(set: &[&str]) -> Vec<String> {
        let unread = unread(set.iter().map(|name| (*name).to_owned()));
        unread.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelt_variable_is_named_with_the_one_that_was_meant() {
        for (set, meant) in [
            ("RUNPOD_WORKER_CONCURENCY", "RUNPOD_WORKER_CONCURRENCY"),
            ("RUNPOD_WORKER_CONCURRENT", "RUNPOD_WORKER_CONCURRENCY"),
            ("runpod_worker_concurrency", "RUNPOD_WORKER_CONCURRENCY"),
            ("RUNPOD-WORKER-CONCURRENCY", "RUNPOD_WORKER_CONCURRENCY"),
            ("RUNPOD_WORKER_TIME_OUT", "RUNPOD_WORKER_TIMEOUT"),
            ("RUNPOD_WORKER_TAKEAHEAD", "RUNPOD_WORKER_TAKE_AHEAD"),
            ("RUNPOD_WORKER_JOURNALS", "RUNPOD_WORKER_JOURNAL"),
        ] {
            assert_eq!(
                lines(&[set]),
                [format!("{set} is set, and has no effect: did you mean {meant}?")]
            );
        }
    }

    #[test]
    fn a_removed_variable_names_its_successor_and_a_strange_one_gets_no_guess() {
        assert_eq!(
            lines(&["RUNPOD_WORKER_STUCK_AFTER", "RUNPOD_WORKER_COLOUR"]),
            [
                "RUNPOD_WORKER_COLOUR is set, and has no effect: no variable of this worker has this name; --help lists \
                 those of RUNPOD_WORKER_…",
                "RUNPOD_WORKER_STUCK_AFTER is set, and has no effect: \
                 the heartbeat stops after 60 s without a sign of life",
            ]
        );
    }

    #[test]
    fn what_is_read_and_what_belongs_to_others_is_no_concern() {
        let known = VARIABLES.iter().map(|variable| variable.name);
        let others = ["RUNPOD_POD_ID", "PATH", "RUNPOD_WORKER", "SD_WORKER_RETRIES", "É"];
        let all: Vec<&str> = known.chain(others).collect();
        assert_eq!(lines(&all), [""; 0]);
    }
}
