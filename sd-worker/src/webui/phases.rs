//! The start report: when each phase of the WebUI's start was passed.

use std::fmt;
use std::time::Instant;

/// The phases a start has passed, each with its time since the start began.
#[derive(Debug)]
pub(crate) struct StartPhases {
    began: Instant,
    done: Vec<(&'static str, f64)>,
}

impl StartPhases {
    /// Starts the clock.
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            done: Vec::new(),
        }
    }

    /// Notes that a phase is passed. A repetition changes nothing.
    pub(crate) fn done(&mut self, phase: &'static str) {
        if self.done.iter().all(|(known, _)| *known != phase) {
            self.done
                .push((phase, self.began.elapsed().as_secs_f64() * 1000.0));
        }
    }

    /// Notes that a phase that ran beside the others was passed at this time.
    pub(crate) fn done_at(&mut self, phase: &'static str, at: Instant) {
        let millis = at.saturating_duration_since(self.began).as_secs_f64() * 1000.0;
        let later = self.done.iter().position(|(_, known)| *known > millis);
        self.done
            .insert(later.unwrap_or(self.done.len()), (phase, millis));
    }

    /// The phase that was passed last.
    pub(crate) fn last(&self) -> Option<&'static str> {
        self.done.last().map(|(phase, _)| *phase)
    }
}

/// `spawned=+0.9ms port_open=+3012.4ms`.
impl fmt::Display for StartPhases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (phase, millis)) in self.done.iter().enumerate() {
            let space = if number > 0 { " " } else { "" };
            write!(f, "{space}{phase}=+{millis:.1}ms")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_is_listed_once_in_its_order() {
        let mut phases = StartPhases::begin();
        for phase in ["spawned", "port_open", "port_open", "api_answers"] {
            phases.done(phase);
        }
        let names: Vec<String> = phases
            .to_string()
            .split(' ')
            .map(|entry| entry.split_once("=+").unwrap().0.to_owned())
            .collect();
        assert_eq!(names, ["spawned", "port_open", "api_answers"]);
        assert_eq!(phases.last(), Some("api_answers"));
        phases.done_at("model_read", phases.began);
        assert!(phases.to_string().starts_with("model_read=+0.0ms spawned=+"));
    }
}
