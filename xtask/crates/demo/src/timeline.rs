//! The worker's own times of a job, from its log.

use std::time::{Duration, SystemTime};

use crate::log_line::LogLine;

/// What the worker's `job timeline:` line says: when it received the job, and when it passed each point.
#[derive(Debug, PartialEq)]
pub(crate) struct Timeline {
    received: SystemTime,
    points: Vec<(String, Duration)>,
}

impl Timeline {
    /// Reads a line of the log, if it is this job's timeline.
    pub(crate) fn read(line: &str, job: &str) -> Option<Self> {
        let line = LogLine::read(line)?;
        if line.request_id.as_deref() != Some(job) {
            return None;
        }
        let mut points = line.message.strip_prefix("job timeline: ")?.split_whitespace();
        let received = points.next()?.strip_prefix("received=")?;
        let points = points.map(|point| {
            let (name, offset) = point.split_once("=+")?;
            let milliseconds: f64 = offset.strip_suffix("ms")?.parse().ok()?;
            Some((
                name.to_owned(),
                Duration::try_from_secs_f64(milliseconds / 1000.0).ok()?,
            ))
        });
        Some(Self {
            received: humantime::parse_rfc3339(received).ok()?,
            points: points.collect::<Option<_>>()?,
        })
    }

    /// When the worker passed a point, counted from its receiving the job.
    pub(crate) fn since_received(&self, point: &str) -> Option<Duration> {
        let found = self.points.iter().find(|(name, _)| name == point);
        found.map(|(_, offset)| *offset)
    }

    /// When the worker passed a point.
    pub(crate) fn at(&self, point: &str) -> Option<SystemTime> {
        self.since_received(point).map(|offset| self.received + offset)
    }

    /// From one point to another.
    pub(crate) fn between(&self, from: &str, to: &str) -> Option<Duration> {
        self.since_received(to)?.checked_sub(self.since_received(from)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"requestId": "job-1", "message": "job timeline: received=2026-01-01T00:00:00.250Z handler_started=+0.2ms response_sent=+1204.9ms", "level": "INFO"}"#;

    #[test]
    fn the_points_of_a_job_are_read_from_the_log() {
        let timeline = Timeline::read(LINE, "job-1").unwrap();
        assert_eq!(
            timeline.since_received("handler_started"),
            Some(Duration::from_micros(200))
        );
        let sent = timeline.at("response_sent").unwrap();
        assert_eq!(
            humantime::format_rfc3339_micros(sent).to_string(),
            "2026-01-01T00:00:01.454900Z"
        );
        let between = timeline.between("handler_started", "response_sent");
        assert_eq!(between, Some(Duration::from_micros(1_204_700)));
        assert_eq!(timeline.at("nowhere"), None);
    }

    #[test]
    fn lines_of_other_jobs_and_other_lines_are_left_alone() {
        assert_eq!(Timeline::read(LINE, "job-2"), None);
        let started = r#"{"requestId": "job-1", "message": "Started.", "level": "INFO"}"#;
        assert_eq!(Timeline::read(started, "job-1"), None);
        assert_eq!(Timeline::read("--- Starting", "job-1"), None);
        assert_eq!(Timeline::read(&LINE.replace("+0.2ms", "+soon"), "job-1"), None);
    }
}
