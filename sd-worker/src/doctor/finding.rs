//! The doctor's findings, and their form as text.

use std::fmt::{self, Write as _};

use clap::builder::styling::{AnsiColor, Style};
use runpod_sdk::fitness::GIB;
use serde::Serialize;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// A fact that is neither good nor bad.
    Note,
    /// Jobs succeed, but not as a user may expect.
    Warning,
    /// Jobs will fail.
    Failure,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn good(what: impl Into<String>) -> Self {
        Self::new(Verdict::Good, what, None)
    }

    pub(super) fn note(what: impl Into<String>) -> Self {
        Self::new(Verdict::Note, what, None)
    }

    pub(super) fn warning(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Verdict::Warning, what, Some(fix.into()))
    }

    pub(super) fn failure(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Verdict::Failure, what, Some(fix.into()))
    }

    fn new(verdict: Verdict, what: impl Into<String>, fix: Option<String>) -> Self {
        Self {
            verdict,
            what: what.into(),
            fix,
        }
    }
}

/// Converts bytes to gibibytes, for messages.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
pub(super) fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}

/// Findings about one part of the worker's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) findings: Vec<Finding>,
}

/// All findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct DoctorReport {
    pub(super) sections: Vec<Section>,
}

impl DoctorReport {
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        let findings = self.sections.iter().flat_map(|section| &section.findings);
        findings.filter(|finding| finding.verdict == verdict).count()
    }

    /// The report as text. `colours`: with ANSI colours, for a terminal.
    pub(super) fn text(&self, colours: bool) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        for section in &self.sections {
            let _ = writeln!(text, "{}", painted(Style::new().bold(), section.title, colours));
            for finding in &section.findings {
                let _ = writeln!(text, "  {}  {}", finding.verdict.shown(colours), finding.what);
                if let Some(fix) = &finding.fix {
                    let _ = writeln!(text, "        {fix}");
                }
            }
            text.push('\n');
        }
        let _ = write!(
            text,
            "{} in order, {} to know, {} to look at, {} to mend",
            self.count(Verdict::Good),
            self.count(Verdict::Note),
            self.count(Verdict::Warning),
            self.count(Verdict::Failure)
        );
        text
    }
}

impl Verdict {
    fn shown(self, colours: bool) -> String {
        let (word, colour) = match self {
            Self::Good => ("ok  ", AnsiColor::Green),
            Self::Note => ("note", AnsiColor::Cyan),
            Self::Warning => ("warn", AnsiColor::Yellow),
            Self::Failure => ("FAIL", AnsiColor::Red),
        };
        painted(colour.on_default(), word, colours)
    }
}

fn painted(style: Style, text: impl fmt::Display, colours: bool) -> String {
    if colours {
        format!("{style}{text}{style:#}")
    } else {
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> DoctorReport {
        DoctorReport {
            sections: vec![
                Section {
                    title: "WebUI",
                    findings: vec![
                        Finding::good("it answers"),
                        Finding::failure("it has no model", "put one there"),
                    ],
                },
                Section {
                    title: "Volume",
                    findings: vec![
                        Finding::note("none"),
                        Finding::warning("nearly full", "make room"),
                    ],
                },
            ],
        }
    }

    #[test]
    fn each_problem_stands_with_its_fix() {
        insta::assert_snapshot!(report().text(false));
    }

    #[test]
    fn colours_change_no_word() {
        let coloured = report().text(true);
        assert!(coloured.contains("\u{1b}[31mFAIL\u{1b}[0m"));
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain += before;
            rest = after.split_once('m').unwrap().1;
        }
        assert_eq!(plain + rest, report().text(false));
    }
}
