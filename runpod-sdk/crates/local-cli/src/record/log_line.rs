//! What a line of a worker's log says, in the form in which RunPod's workers log.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

/// One line: about a job, or about none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogLine {
    pub(super) job: Option<String>,
    pub(super) level: String,
    pub(super) message: String,
}

impl LogLine {
    /// Reads a line; one in another form is a message of its own.
    pub(super) fn read(line: &str) -> Self {
        #[derive(Deserialize)]
        struct Platform {
            #[serde(rename = "requestId")]
            request_id: Option<String>,
            message: String,
            level: String,
        }
        match serde_json::from_str(line) {
            Ok(Platform {
                request_id,
                message,
                level,
            }) => Self {
                job: request_id,
                level,
                message,
            },
            Err(_) => Self {
                job: None,
                level: String::new(),
                message: line.to_owned(),
            },
        }
    }
}

/// The points a job passed in its worker, as our workers log them when they have delivered it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Points {
    pub(super) received: SystemTime,
    /// The points with their times in milliseconds since the worker received the job.
    pub(super) points: Vec<(String, f64)>,
}

impl Points {
    /// Reads `job timeline: received=2026-01-01T00:00:00Z handler_started=+0.2ms …`.
    pub(super) fn read(message: &str) -> Option<Self> {
        let mut words = message.strip_prefix("job timeline: ")?.split_whitespace();
        let received = humantime::parse_rfc3339(words.next()?.strip_prefix("received=")?).ok()?;
        let points = words.map(|word| {
            let (name, offset) = word.split_once("=+")?;
            let milliseconds: f64 = offset.strip_suffix("ms")?.parse().ok()?;
            Some((name.to_owned(), milliseconds))
        });
        Some(Self {
            received,
            points: points.collect::<Option<_>>()?,
        })
    }

    /// When the worker received the job, counted from `epoch`.
    pub(super) fn since(&self, epoch: SystemTime) -> Duration {
        self.received.duration_since(epoch).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_the_platforms_form_names_its_job() {
        let line = LogLine::read(r#"{"requestId": "j1", "message": "Started.", "level": "INFO"}"#);
        assert_eq!(
            (line.job.as_deref(), &*line.level, &*line.message),
            (Some("j1"), "INFO", "Started.")
        );
        let line = LogLine::read(r#"{"requestId": null, "message": "up", "level": "WARN"}"#);
        assert_eq!((line.job, &*line.level), (None, "WARN"));
        let line = LogLine::read(r#"{"other": 1}"#);
        assert_eq!((line.job, &*line.message), (None, r#"{"other": 1}"#));
    }

    #[test]
    fn the_points_of_a_job_are_read_and_other_messages_are_not() {
        let message = "job timeline: received=1970-01-01T00:00:02.500Z handler_started=+0.2ms sent=+1204.9ms";
        let points = Points::read(message).unwrap();
        assert_eq!(points.since(SystemTime::UNIX_EPOCH), Duration::from_millis(2500));
        assert_eq!(
            points.points,
            [("handler_started".to_owned(), 0.2), ("sent".to_owned(), 1204.9)]
        );
        assert_eq!(Points::read("Started."), None);
        assert_eq!(Points::read(&message.replace("+0.2ms", "+soon")), None);
    }
}
