//! What a run has found.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::case::Case;

/// The longest value that a report shows.
const SHOWN: usize = 160;

/// One field that is not as the real server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// `status`, a header, or a path into the body such as `$.detail[0].msg`.
    pub path: String,
    /// What the real server answers.
    pub expected: String,
    /// What this server answered.
    pub actual: String,
}

impl Difference {
    pub(super) fn new(path: &str, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            expected: shortened(expected.into()),
            actual: shortened(actual.into()),
        }
    }
}

fn shortened(text: String) -> String {
    if text.chars().count() <= SHOWN {
        return text;
    }
    let kept: String = text.chars().take(SHOWN).collect();
    format!("{kept}… ({} characters)", text.chars().count())
}

/// What became of one case.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The name of the case.
    pub case: String,
    /// Method and path.
    pub request: String,
    /// What differs; empty when nothing does.
    pub differences: Vec<Difference>,
    /// Seconds from the request to the end of the answer.
    pub seconds: f64,
}

impl Outcome {
    pub(super) fn new(case: &Case, differences: Vec<Difference>, took: Duration) -> Self {
        Self {
            case: case.name.clone(),
            request: case.request_line(),
            differences,
            seconds: took.as_secs_f64(),
        }
    }
}

/// The outcomes of all cases. `Display` lists the differences for a terminal.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ContractReport {
    /// The server.
    pub url: String,
    /// One entry a case, in order.
    pub outcomes: Vec<Outcome>,
}

impl ContractReport {
    pub(super) fn new(url: &str, outcomes: Vec<Outcome>) -> Self {
        Self {
            url: url.to_owned(),
            outcomes,
        }
    }

    /// Whether nothing differs.
    pub fn passed(&self) -> bool {
        self.different().next().is_none()
    }

    /// The cases that differ.
    pub fn different(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes
            .iter()
            .filter(|outcome| !outcome.differences.is_empty())
    }

    /// The report as a JSON value.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The report as a Markdown page.
    pub fn to_markdown(&self) -> String {
        let mut page = format!("# Contract with {}\n\n{}\n\n", self.url, self.summary());
        page.push_str("| case | request | seconds | result |\n|---|---|---|---|\n");
        for outcome in &self.outcomes {
            let result = match outcome.differences.len() {
                0 => "same".to_owned(),
                count => format!("**{count} different**"),
            };
            let Outcome {
                case,
                request,
                seconds,
                ..
            } = outcome;
            let _ = writeln!(page, "| {case} | `{request}` | {seconds:.3} | {result} |");
        }
        for outcome in self.different() {
            let _ = write!(
                page,
                "\n## {}\n\n| field | expected | got |\n|---|---|---|\n",
                outcome.case
            );
            for Difference {
                path,
                expected,
                actual,
            } in &outcome.differences
            {
                let (path, expected, actual) = (cell(path), cell(expected), cell(actual));
                let _ = writeln!(page, "| {path} | {expected} | {actual} |");
            }
        }
        page
    }

    fn summary(&self) -> String {
        let different = self.different().count();
        format!(
            "{} cases, {} as expected, {different} different.",
            self.outcomes.len(),
            self.outcomes.len() - different
        )
    }
}

/// A text that cannot break out of its table cell.
fn cell(text: &str) -> String {
    format!(
        "`{}`",
        text.replace('|', "\\|").replace('`', "'").replace('\n', " ")
    )
}

impl fmt::Display for ContractReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}: {}", self.url, self.summary())?;
        for outcome in self.different() {
            writeln!(formatter, "\n{} ({})", outcome.case, outcome.request)?;
            for Difference {
                path,
                expected,
                actual,
            } in &outcome.differences
            {
                writeln!(
                    formatter,
                    "  {path}\n    expected {expected}\n    got      {actual}"
                )?;
            }
        }
        Ok(())
    }
}
