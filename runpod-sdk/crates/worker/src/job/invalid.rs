//! The problems of an input, as a list, so that a caller can correct all of them at once.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use super::error::JobError;
use crate::json::ReadableError;

/// The most problems that an error lists; a hostile input could have millions.
const MOST: usize = 20;

/// One problem of a job's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InputProblem {
    /// The path, such as `size.width` or `items[3]`; empty for the whole input.
    pub path: String,
    /// The problem, in terms of JSON types.
    pub problem: Cow<'static, str>,
    /// The hint: what was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Cow<'static, str>>,
}

impl InputProblem {
    /// A problem at `path`.
    pub fn new(path: impl Into<String>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            hint: None,
        }
    }

    /// Adds a hint: what was probably meant.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ReadableError> for InputProblem {
    fn from(plain: ReadableError) -> Self {
        Self {
            path: plain.path,
            problem: plain.problem.into(),
            hint: plain.hint.map(Cow::from),
        }
    }
}

impl JobError {
    /// An error with all these problems of the request. Code and class are those of
    /// [`invalid_input`](Self::invalid_input).
    ///
    /// The details are `{"errors": [{"path", "problem", "hint"?}, …], "path": …}`: every problem (the
    /// first 20 of them), and the path of the first for programs that look at one only.
    ///
    /// ```
    /// use runpod_sdk::JobError;
    /// use runpod_sdk::job::InputProblem;
    ///
    /// let error = JobError::invalid_inputs(vec![
    ///     InputProblem::new("steps", "must be at least 1"),
    ///     InputProblem::new("size.width", "must be a multiple of 8"),
    /// ]);
    /// assert_eq!(error.details().unwrap()["errors"][1]["path"], "size.width");
    /// assert_eq!(error.message(), "invalid input: steps: must be at least 1; size.width: must be a multiple of 8");
    /// ```
    pub fn invalid_inputs(mut problems: Vec<InputProblem>) -> Self {
        let more = problems.len().saturating_sub(MOST);
        problems.truncate(MOST);
        let mut message = "invalid input".to_owned();
        for (at, problem) in problems.iter().enumerate() {
            message.push_str(if at == 0 { ": " } else { "; " });
            if !problem.path.is_empty() {
                let _ = write!(message, "{}: ", problem.path);
            }
            message.push_str(&problem.problem);
            if let Some(hint) = &problem.hint {
                let _ = write!(message, " ({hint})");
            }
        }
        if more > 0 {
            let _ = write!(message, "; and {more} more");
        }
        let path = problems
            .first()
            .map(|problem| problem.path.as_str())
            .unwrap_or_default();
        let details = serde_json::json!({ "errors": problems, "path": path });
        Self::invalid_input(message).with_details(details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_told_and_the_first_has_the_path() {
        let error = JobError::invalid_inputs(vec![
            InputProblem::new("promt", "unknown field").with_hint("did you mean \"prompt\"?"),
            InputProblem::new("", "expected object, found number"),
        ]);
        assert_eq!(
            error.message(),
            "invalid input: promt: unknown field (did you mean \"prompt\"?); expected object, found number"
        );
        insta::assert_json_snapshot!(error.details());
    }

    #[test]
    fn a_million_problems_are_not_all_told() {
        let problems = (0..1_000_000)
            .map(|at| InputProblem::new(format!("[{at}]"), "wrong"))
            .collect();
        let error = JobError::invalid_inputs(problems);
        assert_eq!(error.details().unwrap()["errors"].as_array().unwrap().len(), MOST);
        assert!(error.message().ends_with("; and 999980 more"), "{error}");
    }
}
