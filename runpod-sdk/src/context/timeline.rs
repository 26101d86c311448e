//! When a job came to which point (`docs/protocol/request-flow.md`, Monitoring).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

/// The points a job has passed, each with its time since the job arrived.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    started: SystemTime,
    origin: Instant,
    points: Arc<Mutex<Vec<(&'static str, Instant)>>>,
}

impl Timeline {
    /// Starts with the point `received`, now.
    pub(crate) fn start() -> Self {
        Self {
            started: SystemTime::now(),
            origin: Instant::now(),
            points: Arc::default(),
        }
    }

    pub(crate) fn mark(&self, point: &'static str) {
        let now = Instant::now();
        self.points
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((point, now));
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "received={}", humantime::format_rfc3339_millis(self.started))?;
        for (point, at) in self.points.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let millis = at.duration_since(self.origin).as_secs_f64() * 1000.0;
            write!(f, " {point}=+{millis:.1}ms")?;
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
}
