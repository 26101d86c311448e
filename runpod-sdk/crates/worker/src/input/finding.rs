//! What a check found, and where.

use std::fmt;

use crate::job::InputProblem;

/// So many findings are enough to stop looking.
const ENOUGH: usize = 100;
/// Letters of a key that are quoted in a path.
const QUOTED: usize = 40;

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Another type, or another value than the few that are allowed.
    Shape,
    Missing,
    Unknown,
    /// Outside of what the schema allows though the type would take it.
    Limit,
}

#[derive(Debug)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    /// How deep in the input it is.
    pub(super) depth: usize,
    /// It shows that another alternative was meant: the tag of an enum does not fit.
    pub(super) tag: bool,
    pub(super) problem: InputProblem,
}

/// A list that stops growing at some point.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, kind: Kind, path: &Path<'_>, problem: String) -> Option<&mut Finding> {
        self.push(Finding {
            kind,
            depth: path.depth(),
            tag: false,
            problem: InputProblem::new(path.to_string(), problem),
        })
    }

    pub(super) fn push(&mut self, finding: Finding) -> Option<&mut Finding> {
        if self.is_full() {
            return None;
        }
        self.0.push(finding);
        self.0.last_mut()
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= ENOUGH
    }
}

/// Where in the input: a chain from the inside out.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl Path<'_> {
    pub(super) fn depth(&self) -> usize {
        let mut depth = 0;
        let mut at = self;
        while let Path::Key(outer, _) | Path::Index(outer, _) = at {
            depth += 1;
            at = outer;
        }
        depth
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(outer, key) => {
                write!(f, "{outer}")?;
                if !matches!(outer, Path::Root) {
                    f.write_str(".")?;
                }
                f.write_str(&shortened(key))
            }
            Self::Index(outer, index) => write!(f, "{outer}[{index}]"),
        }
    }
}

/// A key of a caller's object, as much of it as a path shows.
pub(super) fn shortened(key: &str) -> String {
    match key.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}
