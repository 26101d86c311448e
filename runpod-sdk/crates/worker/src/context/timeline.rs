//! The timeline of a job: the points it passes, with their times (`docs/protocol/request-flow.md`, Monitoring).

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Names of common points. The runtime marks some of them; a handler marks the others with
/// [`Context::mark`](crate::Context::mark).
pub mod point {
    /// The job has arrived. Marked by the runtime.
    pub const RECEIVED: &str = "received";
    /// The job has its slot. Marked by the runtime.
    pub const HANDLER_STARTED: &str = "handler_started";
    /// The services that the handler needs are ready. For the handler to mark.
    pub const READINESS_CHECKED: &str = "readiness_checked";
    /// The inference begins. For the handler to mark.
    pub const INFERENCE_STARTED: &str = "inference_started";
    /// The inference is done. For the handler to mark.
    pub const INFERENCE_FINISHED: &str = "inference_finished";
    /// The job has ended. Marked by the runtime.
    pub const PROCESSING_COMPLETE: &str = "processing_complete";
    /// The result has reached the platform. Marked by the runtime.
    pub const RESPONSE_SENT: &str = "response_sent";
}

/// The points a job has passed, each with its time since the job arrived.
///
/// Cheap to clone. Clones share their points, including later ones.
#[derive(Debug, Clone)]
pub struct Timeline {
    started: SystemTime,
    origin: Instant,
    points: Arc<Mutex<Vec<(&'static str, Instant)>>>,
    /// Facts about the job, shown after the points.
    notes: Arc<Mutex<Vec<(&'static str, String)>>>,
}

impl Timeline {
    /// Starts a timeline at the point `received`.
    pub(crate) fn start() -> Self {
        Self {
            started: SystemTime::now(),
            origin: Instant::now(),
            points: Arc::default(),
            notes: Arc::default(),
        }
    }

    pub(crate) fn mark(&self, point: &'static str) {
        let now = Instant::now();
        self.lock().push((point, now));
    }

    /// Adds a fact, or replaces the one of this name.
    pub(crate) fn note(&self, name: &'static str, value: String) {
        let mut notes = self.notes.lock();
        notes.retain(|(known, _)| *known != name);
        notes.push((name, value));
    }

    /// The wall-clock time at which the job arrived.
    pub fn received_at(&self) -> SystemTime {
        self.started
    }

    /// All points after `received`, in order, each with the time since the job arrived.
    pub fn points(&self) -> Vec<(&'static str, Duration)> {
        self.lock()
            .iter()
            .map(|(point, at)| (*point, at.duration_since(self.origin)))
            .collect()
    }

    /// The time from the job's arrival to its first mark of `point`; `None` if it has not passed it.
    pub fn at(&self, point: &str) -> Option<Duration> {
        if point == point::RECEIVED {
            return Some(Duration::ZERO);
        }
        let points = self.lock();
        let (_, at) = points.iter().find(|(name, _)| *name == point)?;
        Some(at.duration_since(self.origin))
    }

    /// The time between two points; `None` unless both were passed, in this order.
    pub fn between(&self, from: &str, to: &str) -> Option<Duration> {
        self.at(to)?.checked_sub(self.at(from)?)
    }

    /// Time since the job arrived.
    pub(crate) fn age(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(&'static str, Instant)>> {
        self.points.lock()
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "received={}", humantime::format_rfc3339_millis(self.started))?;
        for (point, at) in self.lock().iter() {
            let millis = at.duration_since(self.origin).as_secs_f64() * 1000.0;
            write!(f, " {point}=+{millis:.1}ms")?;
        }
        for (name, value) in self.notes.lock().iter() {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lists_the_points_in_order_with_their_times() {
        let timeline = Timeline::start();
        tokio::time::advance(Duration::from_millis(1)).await;
        timeline.mark("handler_started");
        tokio::time::advance(Duration::from_secs(2)).await;
        timeline.mark("response_sent");
        let line = timeline.to_string();
        let (received, rest) = line.split_once(' ').unwrap();
        assert!(received.starts_with("received=20"), "{received}");
        assert_eq!(rest, "handler_started=+1.0ms response_sent=+2001.0ms");
    }

    #[test]
    fn facts_stand_after_the_points_and_the_last_of_a_name_counts() {
        let timeline = Timeline::start();
        for (name, value) in [("batch", "1"), ("gpu", "0"), ("batch", "2")] {
            timeline.note(name, value.to_owned());
        }
        timeline.mark("response_sent");
        let line = timeline.to_string();
        assert!(line.ends_with("ms gpu=0 batch=2"), "{line}");
    }

    #[tokio::test(start_paused = true)]
    async fn tells_the_time_between_two_points() {
        let timeline = Timeline::start();
        for point in [
            point::HANDLER_STARTED,
            point::READINESS_CHECKED,
            point::READINESS_CHECKED,
        ] {
            tokio::time::advance(Duration::from_secs(1)).await;
            timeline.mark(point);
        }
        let second = Some(Duration::from_secs(1));
        assert_eq!(timeline.between(point::RECEIVED, point::HANDLER_STARTED), second);
        assert_eq!(
            timeline.between(point::HANDLER_STARTED, point::READINESS_CHECKED),
            second,
            "the first of two marks counts"
        );
        assert_eq!(
            timeline.between(point::READINESS_CHECKED, point::HANDLER_STARTED),
            None
        );
        assert_eq!(timeline.at(point::RESPONSE_SENT), None);
    }
}
