//! What a worker needs before its first job and without one.

use std::time::Duration;

use tokio::time::sleep;

use super::{Bench, SETTLE, START_LIMIT, line, mebibytes, millis};
use crate::fakes::{Fakes, Plan};
use crate::figures::{Line, Samples, Target, Unit};
use crate::process::Program;

impl Bench {
    pub(super) async fn first_take(&self) -> anyhow::Result<Vec<Line>> {
        // The first starts only bring the program into the page cache.
        const COLD: usize = 3;
        let [mut times] = self
            .alternate(COLD + 20, async |program| {
                let fakes = Fakes::start(Plan::prompt())?;
                let mut running = program.start(&fakes, &self.logs)?;
                let taken = running.within(START_LIMIT, fakes.first_take()).await?;
                let time = taken.duration_since(running.started);
                running.kill().await?;
                Ok([millis(time)])
            })
            .await?;
        times.ours.drain(..COLD);
        times.floor.drain(..COLD);
        Ok(vec![line(
            "exec to first take",
            Unit::Millis,
            times,
            Target::Below(10.0),
        )])
    }

    pub(super) async fn idle_memory(&self) -> anyhow::Result<Vec<Line>> {
        let [memory] = self
            .alternate(self.rounds(3), async |program| {
                let (_fakes, running) = self.start(program, Plan::prompt()).await?;
                sleep(SETTLE).await;
                let memory = running.memory()?;
                running.kill().await?;
                Ok([mebibytes(memory)])
            })
            .await?;
        Ok(vec![line(
            "idle memory",
            Unit::Mebibytes,
            memory,
            Target::Below(8.0),
        )])
    }

    /// The programs idle beside each other: they do not disturb one another, and it takes long enough.
    pub(super) async fn idle_cpu(&self) -> anyhow::Result<Vec<Line>> {
        let time = Duration::from_secs(if self.quick { 10 } else { 60 });
        let idle = async |program: &Program| {
            let (_fakes, running) = self.start(program, Plan::prompt()).await?;
            sleep(SETTLE).await;
            let before = running.cpu()?;
            sleep(time).await;
            let used = running.cpu()?.saturating_sub(before);
            running.kill().await?;
            anyhow::Ok(millis(used))
        };
        let python = async {
            match &self.python {
                Some(program) => idle(program).await.map(|used| vec![used]),
                None => Ok(Vec::new()),
            }
        };
        self.show(0.0, "programs idle");
        let (ours, floor, python) = tokio::try_join!(idle(&self.ours), idle(&self.floor), python)?;
        let samples = Samples {
            ours: vec![ours],
            floor: vec![floor],
            python,
        };
        let name = format!("CPU in {} idle seconds", time.as_secs());
        Ok(vec![line(&name, Unit::Millis, samples, Target::Below(20.0))])
    }
}
