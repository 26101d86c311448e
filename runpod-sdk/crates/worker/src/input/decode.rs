//! Decodes an input with serde and collects the remaining problems with the schema.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::finding::{FindingKind, shortened};
use super::published;
use super::shape;
use crate::job::{InputProblem, JobError};
use crate::json::{RawJson, ReadableError};

/// The most unknown fields that are collected.
const ENOUGH: usize = 100;

/// Decodes the input. The list beside the value holds problems that serde ignores: unknown fields, and limits of the
/// schema.
pub(super) fn read<T>(raw: &RawJson) -> Result<(T, Vec<InputProblem>), JobError>
where
    T: DeserializeOwned + JsonSchema + 'static,
{
    let mut ignored = Vec::new();
    let mut source = serde_json::Deserializer::from_slice(raw.as_bytes());
    let mut note = |path: serde_ignored::Path<'_>| {
        if ignored.len() < ENOUGH {
            ignored.push(place(&path));
        }
    };
    let source = serde_ignored::Deserializer::new(&mut source, &mut note);
    let decoded = serde_path_to_error::deserialize::<_, T>(source);
    let findings = shape::check(&published::shared::<T>(), raw);
    match decoded {
        Ok(value) => {
            let problems = findings.into_iter().filter(|finding| match finding.kind {
                FindingKind::Limit => true,
                // Both must agree: only serde knows aliases, only the schema knows which structs accept other fields.
                FindingKind::Unknown => ignored.contains(&finding.problem.path),
                FindingKind::Shape | FindingKind::Missing => false,
            });
            Ok((value, problems.map(|finding| finding.problem).collect()))
        }
        Err(error) => {
            let path = error.path().to_string();
            let path = if path == "." { "" } else { &path };
            let first = ReadableError::of(path, error.inner());
            let mut problems: Vec<InputProblem> = Vec::new();
            let covered = findings.iter().any(|finding| {
                // Within an enum serde knows only the last part of the path.
                let is_this = finding.problem.problem == first.problem
                    && finding.problem.path.ends_with(&format!(".{}", first.path));
                finding.kind != FindingKind::Limit
                    && (is_this
                        || is_within(&finding.problem.path, &first.path)
                        || is_within(&first.path, &finding.problem.path))
            });
            if !covered {
                problems.push(first.into());
            }
            problems.extend(findings.into_iter().map(|finding| finding.problem));
            Err(JobError::invalid_inputs(problems))
        }
    }
}

/// Whether `path` is `place` or lies inside it.
fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| place.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Formats a path of `serde_ignored` like all other paths.
fn place(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", place(parent)),
        Path::Map { parent, key } => {
            let outer = place(parent);
            let key = shortened(key);
            if outer.is_empty() {
                key
            } else {
                format!("{outer}.{key}")
            }
        }
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            place(parent)
        }
    }
}
