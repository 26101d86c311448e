//! The problems that the schema check finds, with their paths.

use std::fmt;

use crate::job::InputProblem;

/// The most findings that are collected.
const ENOUGH: usize = 100;
/// The most characters of a key that a path shows.
const QUOTED: usize = 40;

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FindingKind {
    /// Another type, or a value that is not among those allowed.
    Shape,
    Missing,
    Unknown,
    /// A value that the type accepts and the schema forbids.
    Limit,
}

#[derive(Debug)]
pub(super) struct Finding {
    pub(super) kind: FindingKind,
    /// The depth of the problem in the input.
    pub(super) depth: usize,
    /// Whether the tag of an enum does not match, so that another alternative was meant.
    pub(super) tag: bool,
    pub(super) problem: InputProblem,
}

/// A list of findings with a limit on its length.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(
        &mut self,
        kind: FindingKind,
        path: &Path<'_>,
        problem: String,
    ) -> Option<&mut Finding> {
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

/// A path in the input, linked from the innermost part outwards.
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

/// A key of a caller's object, cut to the length that a path shows.
pub(super) fn shortened(key: &str) -> String {
    match key.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}
