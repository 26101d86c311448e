//! How many jobs are done, and how busy they keep the WebUI.

use std::time::Duration;

use anyhow::Context as _;

use super::{Bench, busy_share, line, millis, time_of};
use crate::fakes::Plan;
use crate::figures::{Line, Target, Unit, median};

impl Bench {
    pub(super) async fn jobs_per_second(&self) -> anyhow::Result<Vec<Line>> {
        let plan = Plan::prompt();
        let [rate] = self
            .alternate(self.rounds(5), async |program| {
                let (fakes, mut running) = self.start(program, plan).await?;
                self.jobs(&fakes, &mut running, self.jobs_for(program, 300))
                    .await?;
                let jobs = self.jobs_for(program, 3000);
                let record = self.jobs(&fakes, &mut running, jobs).await?;
                running.kill().await?;
                #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
                Ok([jobs as f64 / time_of(&record)?.as_secs_f64()])
            })
            .await?;
        Ok(vec![line(
            "jobs per second, small jobs",
            Unit::PerSecond,
            rate,
            Target::AtLeastFloor(0.5),
        )])
    }

    pub(super) async fn between_requests(&self) -> anyhow::Result<Vec<Line>> {
        let plan = Plan {
            render: Duration::from_millis(5),
            ..Plan::prompt()
        };
        let [gap] = self
            .alternate(self.rounds(5), async |program| {
                let (fakes, mut running) = self.start(program, plan).await?;
                self.jobs(&fakes, &mut running, self.jobs_for(program, 20))
                    .await?;
                let record = self
                    .jobs(&fakes, &mut running, self.jobs_for(program, 200))
                    .await?;
                running.kill().await?;
                let gaps: Vec<f64> = record
                    .renders
                    .windows(2)
                    .map(|pair| millis(pair[1].begun.duration_since(pair[0].answered)))
                    .collect();
                Ok([median(&gaps).context("fewer than two renders")?])
            })
            .await?;
        Ok(vec![line(
            "between backend requests",
            Unit::Millis,
            gap,
            Target::AtMostFloor(3.0),
        )])
    }

    pub(super) async fn backend_busy(&self) -> anyhow::Result<Vec<Line>> {
        let plan = Plan {
            render: Duration::from_millis(200),
            ..Plan::prompt()
        };
        let [busy] = self
            .alternate(self.rounds(3), async |program| {
                let (fakes, mut running) = self.start(program, plan).await?;
                self.jobs(&fakes, &mut running, 2).await?;
                let record = self
                    .jobs(&fakes, &mut running, if self.quick { 10 } else { 25 })
                    .await?;
                running.kill().await?;
                Ok([busy_share(&record)?])
            })
            .await?;
        Ok(vec![line(
            "backend busy, 200 ms jobs",
            Unit::Percent,
            busy,
            Target::AtLeast(99.0),
        )])
    }
}
