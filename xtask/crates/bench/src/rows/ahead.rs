//! The row of taking ahead: a platform 50 ms away, a backend that needs 200 ms, and each way to take jobs.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use runpod_sdk::TakeAhead;

use super::{Bench, START_LIMIT, busy_share, line, millis};
use crate::fakes::{Delivery, Fakes, Plan, Record};
use crate::figures::{Line, Samples, Target, Unit};

const ROUND_TRIP: Duration = Duration::from_millis(50);
const RENDER: Duration = Duration::from_millis(200);
/// Jobs that do not count: connections are made, and the round trip is measured.
const WARM_UP: usize = 5;

impl Bench {
    pub(super) async fn take_ahead(&self) -> anyhow::Result<Vec<Line>> {
        let plan = Plan {
            render: RENDER,
            round_trip: ROUND_TRIP,
            ..Plan::prompt()
        };
        let mut lines = Vec::new();
        let ways = [TakeAhead::Off, TakeAhead::Always, TakeAhead::JustInTime];
        for (number, how) in ways.into_iter().enumerate() {
            let (mut busy, mut held) = (Samples::default(), Samples::default());
            let rounds = self.rounds(3);
            for round in 0..rounds {
                self.show_round(
                    number * rounds + round,
                    ways.len() * rounds,
                    &format!("taking ahead: {how}"),
                );
                let record = self.run_ahead(how, plan).await?;
                busy.ours.push(busy_share(&record)?);
                held.ours.push(millis(longest_held(&record)?));
            }
            let just_in_time = how == TakeAhead::JustInTime;
            let target = |target| if just_in_time { target } else { Target::Nothing };
            lines.push(line(
                &format!("{how}: backend busy, platform 50 ms away"),
                Unit::Percent,
                busy,
                target(Target::AtLeast(97.0)),
            ));
            lines.push(line(
                &format!("{how}: longest wait of a taken job"),
                Unit::Millis,
                held,
                target(Target::AtMost(millis(ROUND_TRIP * 2))),
            ));
        }
        Ok(lines)
    }

    async fn run_ahead(&self, how: TakeAhead, plan: Plan) -> anyhow::Result<Record> {
        let mut worker = self.worker.clone();
        worker
            .arguments
            .push(format!("--render={}", plan.render.as_millis()));
        let fakes = Fakes::start(plan)?;
        let mut environment = fakes.environment();
        environment.push(("RUNPOD_WORKER_TAKE_AHEAD", how.to_string()));
        let mut running = worker.start_with(environment, &self.logs)?;
        running.within(START_LIMIT, fakes.first_take()).await?;
        // Jobs wait at any time, also between the warm-up and what counts.
        let jobs = if self.quick { 15 } else { 40 };
        let mut record = self.jobs(&fakes, &mut running, WARM_UP + jobs).await?;
        running.kill().await?;
        ensure!(
            record.renders.len() == WARM_UP + jobs && record.deliveries.len() == WARM_UP + jobs,
            "{} renders and {} results of {} jobs",
            record.renders.len(),
            record.deliveries.len(),
            WARM_UP + jobs
        );
        // One job at a time: the first to be handed out is the first to be rendered.
        record.deliveries.sort_by_key(|job: &Delivery| job.handed_out);
        record.deliveries.drain(..WARM_UP);
        record.renders.drain(..WARM_UP);
        Ok(record)
    }
}

/// From a job's last byte at the worker to its request at the backend, at most.
fn longest_held(record: &Record) -> anyhow::Result<Duration> {
    record
        .deliveries
        .iter()
        .zip(&record.renders)
        .map(|(job, render)| render.asked.saturating_duration_since(job.handed_out))
        .max()
        .context("no job was delivered")
}
