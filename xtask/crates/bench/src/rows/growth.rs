//! The row of a worker's memory over many jobs: nothing may be kept of a job that is done.

use std::time::Duration;

use super::{Bench, START_LIMIT, line, mebibytes};
use crate::fakes::{Fakes, Plan};
use crate::figures::{Line, Samples, Target, Unit};

/// Connections and buffers have their sizes by then.
const FEW: usize = 1_000;
const MANY: usize = 100_000;
/// Handed out at a time: what the fakes remember of jobs must not grow without end either.
const BATCH: usize = 10_000;
/// The answer is the input, which is smaller than other answers.
const ANSWER: usize = 100;
const LIMIT: Duration = Duration::from_mins(1);

impl Bench {
    pub(super) async fn memory_growth(&self) -> anyhow::Result<Vec<Line>> {
        let plan = Plan {
            answer: ANSWER,
            ..Plan::prompt()
        };
        let fakes = Fakes::start(plan)?;
        let mut running = self.worker.start(&fakes, &self.logs)?;
        running.within(START_LIMIT, fakes.first_take()).await?;
        self.jobs(&fakes, &mut running, FEW).await?;
        let before = running.memory()?;
        let mut done = FEW;
        while done < MANY {
            self.show_round(done, MANY, "a worker does many jobs");
            let jobs = BATCH.min(MANY - done);
            fakes.release(jobs);
            running.within(LIMIT, fakes.all_delivered()).await?;
            fakes.take_record()?;
            done += jobs;
        }
        let after = running.memory()?;
        running.kill().await?;
        let mut growth = Samples::default();
        growth.ours.push(mebibytes(after) - mebibytes(before));
        Ok(vec![line(
            "memory after 100 000 jobs, above 1 000",
            Unit::Mebibytes,
            growth,
            Target::AtMost(1.0),
        )])
    }
}
