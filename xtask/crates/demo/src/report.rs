//! What the demo shows at its end.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use support::screen::Screen;

use crate::job::Finished;
use crate::observer::Moment;
use crate::pictures::{cut, elided};
use crate::steps::{self, Step, Took};
use crate::timeline::Timeline;

const NOTE: &str = "
  Steps 5 and 6 are parts of 4. Where one ends and the other begins is seen from outside, so theirs
  are upper bounds.";
const MOCK_NOTE: &str = "
  Steps 5 and 6 are parts of 4. Where one ends and the other begins is seen from outside, so theirs
  are upper bounds. The mock's GPU is simulated: 4 and 5 take what --steps and --step-ms ask for.";

const ABSTRACT: &str =
    "the picture is an abstract one: the mock has no model, and draws from prompt and seed";

/// Longest value of the result that is shown whole.
const LONGEST_VALUE: usize = 300;

/// All that was found out.
#[derive(Debug)]
pub(crate) struct Report {
    /// From the worker's start until the WebUI had answered it.
    pub(crate) ready: Duration,
    /// The WebUI was the mock.
    pub(crate) mock: bool,
    pub(crate) jobs: Vec<Job>,
    pub(crate) logs: Vec<PathBuf>,
}

/// One job and what it left behind.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) finished: Finished,
    pub(crate) timeline: Timeline,
    /// When the WebUI had rendered the picture.
    pub(crate) rendered: Option<Moment>,
    pub(crate) files: Vec<PathBuf>,
}

impl Report {
    /// Prints the report. `violations`: what the platform saw the worker do against the protocol.
    pub(crate) fn print(&self, violations: Option<&[String]>, screen: Screen) {
        if let Some(first) = self.jobs.first() {
            result(first, screen);
            self.steps(first, screen);
        }
        if self.jobs.len() > 1 {
            self.all_jobs(screen);
        }
        self.rest(violations, screen);
    }

    fn steps(&self, job: &Job, screen: Screen) {
        screen.heading("\nThe eight steps (docs/protocol/request-flow.md)\n");
        let heading = format!("  #  {:<20} {:<9} {:>9}   {}", "step", "owner", "took", "budget");
        screen.line(screen.dim(heading));
        for step in steps::of(&job.finished, &job.timeline, self.ready, job.rendered) {
            screen.line(row(&step, screen));
        }
        let report = &job.finished.report;
        for (name, time) in [
            ("from request to result", Some(job.finished.total())),
            ("queued, says the platform", report.delay),
            ("worked on, says the platform", report.execution),
        ] {
            screen.line(format_args!("     {name:<30} {:>9}", spans(time)));
        }
        screen.line(screen.dim(if self.mock { MOCK_NOTE } else { NOTE }));
    }

    fn all_jobs(&self, screen: Screen) {
        screen.heading("\nAll jobs\n");
        let heading = format!(
            "  {:>3} {:>9} {:>9} {:>9}   id",
            "job", "queued", "worked on", "in all"
        );
        screen.line(screen.dim(heading));
        for (number, job) in (1..).zip(&self.jobs) {
            let report = &job.finished.report;
            screen.line(format_args!(
                "  {number:>3} {:>9} {:>9} {:>9}   {}",
                spans(report.delay),
                spans(report.execution),
                span(job.finished.total()),
                report.id
            ));
        }
    }

    fn rest(&self, violations: Option<&[String]>, screen: Screen) {
        screen.line("");
        screen.stage("written", listed(self.jobs.iter().flat_map(|job| &job.files)));
        if self.mock {
            screen.stage("", screen.dim(ABSTRACT));
        }
        screen.stage("logs", listed(&self.logs));
        let verdict = match violations {
            None => screen.odd("unknown: the platform was killed before it could say"),
            Some([]) => screen.good("the worker kept to it, says the platform"),
            Some(violations) => screen.odd(violations.join("; ")),
        };
        screen.stage("protocol", verdict);
    }
}

/// Files of one folder.
fn listed<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> String {
    let mut files = files.into_iter().peekable();
    let folder = files.peek().and_then(|file| file.parent());
    let folder = folder.map_or_else(String::new, |folder| folder.display().to_string());
    let names = files.filter_map(|file| file.file_name()?.to_str());
    format!("{folder}: {}", names.collect::<Vec<_>>().join(", "))
}

fn row(step: &Step, screen: Screen) -> String {
    let mark = match step.is_within() {
        Some(true) => screen.good("✓"),
        Some(false) => screen.odd("!"),
        None => screen.dim("?"),
    };
    let Step {
        number,
        name,
        owner,
        budget,
        took,
    } = step;
    format!(
        "  {number}  {name:<20} {owner:<9} {:>9}   {:<9} {mark}",
        took.text(),
        budget.text
    )
}

/// The result's JSON: a line for each field, pictures elided, long values cut.
fn result(job: &Job, screen: Screen) {
    screen.heading("\nThe result\n");
    let fields: serde_json::Map<String, Value> = match job.finished.report.output() {
        Ok(fields) => fields,
        Err(error) => return screen.line(format_args!("  {error}")),
    };
    screen.line("  {");
    let mut left = fields.len();
    for (name, value) in &fields {
        left -= 1;
        let comma = if left > 0 { "," } else { "" };
        let value = cut(&elided(value).to_string(), LONGEST_VALUE);
        screen.line(format_args!("    {name:?}: {value}{comma}"));
    }
    screen.line("  }");
}

fn spans(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), span)
}

impl Took {
    fn text(self) -> String {
        match self {
            Self::Exactly(time) => span(time),
            Self::AtMost(time) if time < Duration::from_millis(1) => span(time),
            Self::AtMost(time) => format!("≤ {}", span(time)),
            Self::NotMeasured => "-".to_owned(),
        }
    }
}

/// A time, as exact as it is worth.
pub(crate) fn span(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match time.as_millis() {
        0 => "< 1 ms".to_owned(),
        1..10 => format!("{millis:.1} ms"),
        10..1000 => format!("{millis:.0} ms"),
        1000..60_000 => format!("{:.2} s", time.as_secs_f64()),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_are_worth() {
        let shown = |micros| span(Duration::from_micros(micros));
        assert_eq!(shown(400), "< 1 ms");
        assert_eq!(shown(2_340), "2.3 ms");
        assert_eq!(shown(123_400), "123 ms");
        assert_eq!(shown(2_611_000), "2.61 s");
        assert_eq!(shown(61_000_000), "1 min 1 s");
    }
}
