//! The id of a job.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

/// The most characters of an id in a log.
const LONGEST_SHOWN: usize = 128;

/// The name of one job. It is opaque: the platform adds prefixes and suffixes. Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

impl JobId {
    /// What the ids of `/runsync` jobs begin with.
    pub const SYNC_PREFIX: &str = "sync-";

    /// The id as the platform spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id for a log or a header: its first 128 characters, with control characters escaped.
    pub fn shown(&self) -> Cow<'_, str> {
        let end = self.0.char_indices().nth(LONGEST_SHOWN).map(|(end, _)| end);
        let cut = &self.0[..end.unwrap_or(self.0.len())];
        if end.is_none() && !cut.chars().any(char::is_control) {
            return Cow::Borrowed(cut);
        }
        let mut shown = without_controls(cut);
        if end.is_some() {
            shown.push_str("...");
        }
        Cow::Owned(shown)
    }

    /// The most bytes that the platform documents for the body of this job's result
    /// (`docs/protocol/endpoint-api.md` §3): 20 MB for a job of `/runsync`, 10 MB for any other.
    ///
    /// The prefix [`SYNC_PREFIX`](Self::SYNC_PREFIX) is only a hint, because ids are opaque. Compare with
    /// `RawJson::len_as_output` of the worker.
    pub fn result_limit(&self) -> usize {
        if self.0.starts_with(Self::SYNC_PREFIX) {
            20_000_000
        } else {
            10_000_000
        }
    }
}

/// `text` with control characters as `\u{…}`, so that it stays one line and moves no cursor.
fn without_controls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

impl From<&str> for JobId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for JobId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl AsRef<str> for JobId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Maps with ids as keys are searched by text.
impl Borrow<str> for JobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer).map(|id| Self::from(&*id))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_in_one_line_of_limited_length() {
        for (id, shown) in [
            ("sync-9f0c-u1", "sync-9f0c-u1".to_owned()),
            ("a\nERROR  | b", "a\\u{a}ERROR  | b".to_owned()),
            ("\u{1b}[2K\r\u{9b}", "\\u{1b}[2K\\u{d}\\u{9b}".to_owned()),
            (&"\u{e4}".repeat(128), "\u{e4}".repeat(128)),
            (&"x".repeat(129), format!("{}...", "x".repeat(128))),
        ] {
            assert_eq!(JobId::from(id).shown(), shown);
            assert_eq!(JobId::from(id).as_str(), id);
        }
    }
}
