//! What the demo shows at its end.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::job::Finished;
use super::observer::RESOLUTION;
use super::pictures::elided;
use super::steps::{self, Step};
use super::timeline::Timeline;
use crate::screen::Screen;

/// All that was found out.
#[derive(Debug)]
pub(super) struct Report {
    /// From the worker's start until the WebUI had answered it.
    pub(super) ready: Duration,
    /// The WebUI was the mock.
    pub(super) mock: bool,
    pub(super) jobs: Vec<Job>,
    pub(super) logs: Vec<PathBuf>,
}

/// One job and what it left behind.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) finished: Finished,
    pub(super) timeline: Timeline,
    /// When the WebUI had rendered the picture.
    pub(super) rendered: Option<SystemTime>,
    pub(super) files: Vec<PathBuf>,
}

impl Report {
    /// Prints the report. `violations`: what the platform saw the worker do against the protocol.
    pub(super) fn print(&self, violations: Option<&[String]>, screen: Screen) {
        for job in self.jobs.iter().take(1) {
            self.steps(job, screen);
            result(job, screen);
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
        let total = steps::span(Some(job.finished.submitted), Some(job.finished.answered));
        screen.line(format_args!(
            "     {:<30} {:>9}",
            "from request to result",
            spans(total)
        ));
        let report = &job.finished.report;
        screen.line(format_args!(
            "     {:<30} {:>9}   queued {}",
            "the platform's own figures",
            spans(report.execution),
            spans(report.delay)
        ));
        let mut note = format!(
            "\n  Steps 5 and 6 happen inside 4; where one ends is known to {} ms.",
            RESOLUTION.as_millis()
        );
        if self.mock {
            note.push_str(
                " The mock's GPU is simulated: 4 and 5 are as short as --steps and --step-ms make them.",
            );
        }
        screen.line(screen.dim(note));
    }

    fn all_jobs(&self, screen: Screen) {
        screen.heading("\nAll jobs\n");
        let heading = format!(
            "  {:>3} {:>9} {:>9} {:>9}   id",
            "job", "queued", "worked on", "in all"
        );
        screen.line(screen.dim(heading));
        for (number, job) in (1..).zip(&self.jobs) {
            let Finished {
                report,
                submitted,
                answered,
            } = &job.finished;
            let total = steps::span(Some(*submitted), Some(*answered));
            screen.line(format_args!(
                "  {number:>3} {:>9} {:>9} {:>9}   {}",
                spans(report.delay),
                spans(report.execution),
                spans(total),
                report.id
            ));
        }
    }

    fn rest(&self, violations: Option<&[String]>, screen: Screen) {
        let list = |files: &mut dyn Iterator<Item = &PathBuf>| {
            files
                .map(|file| file.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        };
        screen.line("");
        screen.stage("written", list(&mut self.jobs.iter().flat_map(|job| &job.files)));
        screen.stage("logs", list(&mut self.logs.iter()));
        let verdict = match violations {
            None => screen.odd("unknown: the platform was killed before it could say"),
            Some([]) => screen.good("the worker kept to it, says the platform"),
            Some(violations) => screen.odd(violations.join("; ")),
        };
        screen.stage("protocol", verdict);
    }
}

fn row(step: &Step, screen: Screen) -> String {
    let mark = match step.is_within() {
        Some(true) => screen.good("✓"),
        Some(false) => screen.odd("!"),
        None => screen.dim("not measured"),
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
        spans(*took),
        budget.text
    )
}

/// The result's JSON, its pictures elided.
fn result(job: &Job, screen: Screen) {
    screen.heading("\nThe result\n");
    let text = match job.finished.report.output::<serde_json::Value>() {
        Ok(result) => {
            serde_json::to_string_pretty(&elided(&result)).unwrap_or_else(|error| error.to_string())
        }
        Err(error) => error.to_string(),
    };
    let mut indented = String::new();
    for line in text.lines() {
        // Writing to a string does not fail.
        let _ = writeln!(indented, "  {line}");
    }
    screen.line(indented.trim_end());
}

fn spans(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), span)
}

/// A time, as exact as it is worth.
pub(super) fn span(time: Duration) -> String {
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
