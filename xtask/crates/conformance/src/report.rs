//! What came of the cases: for a person, and as JSON.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use support::progress::Progress;
use support::screen::Screen;

use crate::diff::{Difference, differences};

/// One case of one client or worker.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Which client or worker.
    pub(crate) subject: &'static str,
    pub(crate) case: String,
    /// What was seen that the table does not expect.
    pub(crate) differences: Vec<Difference>,
    /// Why the table expects something of this one that is not expected of the others.
    pub(crate) reason: Option<String>,
    pub(crate) seen: Value,
    #[serde(skip)]
    pub(crate) time: Duration,
}

impl Row {
    pub(crate) fn new(
        subject: &'static str,
        case: &str,
        expected: &Value,
        seen: Value,
        reason: Option<String>,
        time: Duration,
    ) -> Self {
        Self {
            subject,
            case: case.to_owned(),
            differences: differences(expected, &seen),
            reason,
            seen,
            time,
        }
    }

    /// Cases that came to no end.
    pub(crate) fn broken(subject: &'static str, case: &str, fault: &anyhow::Error) -> Self {
        Self {
            subject,
            case: case.to_owned(),
            differences: vec![Difference::broken(fault)],
            reason: None,
            seen: Value::Null,
            time: Duration::ZERO,
        }
    }

    fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Shows how much has been done, from several places at once.
#[derive(Debug)]
pub(crate) struct Steps {
    bar: RefCell<Progress>,
    done: Cell<u32>,
    of: u32,
}

impl Steps {
    pub(crate) fn new(of: usize, screen: Screen) -> Self {
        Self {
            bar: RefCell::new(Progress::new(screen, "cases".to_owned())),
            done: Cell::new(0),
            of: u32::try_from(of).unwrap_or(u32::MAX),
        }
    }

    /// One more is done: all cases in these rows.
    pub(crate) fn done(&self, rows: &[Row]) {
        self.done.set(self.done.get() + 1);
        let name = rows.first().map_or("", |row| row.subject);
        self.bar
            .borrow_mut()
            .show(f64::from(self.done.get()) / f64::from(self.of), name);
    }
}

/// Prints one line for each subject, then every unexpected difference.
pub(crate) fn print(rows: &[Row], screen: Screen) {
    let mut subjects: Vec<&str> = rows.iter().map(|row| row.subject).collect();
    subjects.dedup();
    for subject in subjects {
        let of: Vec<_> = rows.iter().filter(|row| row.subject == subject).collect();
        let passed = of.iter().filter(|row| row.passed()).count();
        let explained = of.iter().filter(|row| row.reason.is_some()).count();
        let time = of.iter().map(|row| row.time).max().unwrap_or_default();
        let verdict = if passed == of.len() {
            screen.good(format_args!("{passed} of {} passed", of.len()))
        } else {
            screen.odd(format_args!("{passed} of {} passed", of.len()))
        };
        screen.line(format_args!(
            "  {subject:<30} {verdict}, {explained} of them explained  {}",
            screen.dim(format_args!("{:.1} s", time.as_secs_f64()))
        ));
    }
    for row in rows.iter().filter(|row| !row.passed()) {
        screen.heading(format_args!("\n{}: {}", row.subject, row.case));
        for difference in &row.differences {
            screen.line(indented(&difference.to_string()));
        }
    }
}

/// How many cases passed and how many failed.
pub(crate) fn tally(rows: &[Row]) -> (usize, usize) {
    let passed = rows.iter().filter(|row| row.passed()).count();
    (passed, rows.len() - passed)
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
