//! The row of the journal: the same worker with and without one, on the disk that `target` is on.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::{Bench, START_LIMIT, line, millis, time_of};
use crate::fakes::{Fakes, Plan};
use crate::figures::{Line, Samples, Target, Unit};

/// The answer is the input, which is smaller than other answers.
const ANSWER: usize = 100;
/// As far away as the platform may be: every result is on the disk before it is acknowledged.
const AWAY: Duration = Duration::from_millis(20);

impl Bench {
    /// What a job costs with a journal; beside it, in place of the floor, without one.
    pub(super) async fn journal(&self) -> anyhow::Result<Vec<Line>> {
        let folder = self.logs.join("journal");
        let near = Plan {
            answer: ANSWER,
            ..Plan::prompt()
        };
        let far = Plan {
            round_trip: AWAY,
            ..near
        };
        let cases = [
            ("platform near", near, 3000, Target::Below(1.0)),
            ("platform 20 ms away", far, 150, Target::AtMostFloor(1.1)),
        ];
        let mut lines = Vec::new();
        for (number, (name, plan, jobs, target)) in cases.into_iter().enumerate() {
            let mut samples = Samples::default();
            let rounds = self.rounds(5);
            for round in 0..rounds {
                self.show_round(
                    number * rounds + round,
                    cases.len() * rounds,
                    &format!("a journal, {name}"),
                );
                let jobs = self.jobs_for(&self.worker, jobs);
                samples.ours.push(self.a_job(plan, jobs, Some(&folder)).await?);
                samples.floor.push(self.a_job(plan, jobs, None).await?);
            }
            lines.push(line(
                &format!("a job with a journal, {name}"),
                Unit::Millis,
                samples,
                target,
            ));
        }
        Ok(lines)
    }

    /// The time of one job among many that wait, in milliseconds.
    async fn a_job(&self, plan: Plan, jobs: usize, journal: Option<&Path>) -> anyhow::Result<f64> {
        let fakes = Fakes::start(plan)?;
        let mut environment = fakes.environment();
        if let Some(folder) = journal {
            // What the last round left, because it was killed.
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot empty {}", folder.display()));
                }
                _ => {}
            }
            environment.push(("RUNPOD_WORKER_JOURNAL", folder.display().to_string()));
        }
        let mut running = self.worker.start_with(environment, &self.logs)?;
        running.within(START_LIMIT, fakes.first_take()).await?;
        self.jobs(&fakes, &mut running, jobs.div_ceil(10)).await?;
        let record = self.jobs(&fakes, &mut running, jobs).await?;
        running.kill().await?;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        Ok(millis(time_of(&record)?) / jobs as f64)
    }
}
