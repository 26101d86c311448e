//! One worker process, taken through its jobs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use runpod_sdk::local::LocalPlatform;
use serde_json::{Value, json};
use support::process::Process;
use tokio_util::sync::CancellationToken;

use super::gate::{Arrival, Gate};
use super::look::{Ended, Seen};
use super::table::{AtGate, Expected, JobCase, Run};
use super::{KEY, Side, ours};
use crate::report::Row;
use crate::setup::Kit;
use crate::wire::Wire;
use crate::{limit, record};

/// What an idle worker waits for: jobs, and what to stop.
const POLLS: usize = 2;

/// Everything one run needs.
#[derive(Debug)]
pub(super) struct Stage {
    side: Side,
    run: Run,
    platform: Arc<LocalPlatform>,
    /// Also the worker's id, so that it is unique on the platform.
    endpoint: String,
    client: Wire,
    program: PathBuf,
    arguments: Vec<String>,
    logs: PathBuf,
    stop: CancellationToken,
}

impl Stage {
    pub(super) fn new(side: Side, run: Run, kit: &Kit, platform: Arc<LocalPlatform>) -> anyhow::Result<Self> {
        let endpoint = side.endpoint(&run);
        let (program, first) = match side {
            Side::Python => {
                let script = kit.scripts.join("worker.py");
                (kit.python.clone(), script.display().to_string())
            }
            Side::Ours => {
                let program = std::env::current_exe().context("cannot find this program's own file")?;
                (program, "worker".to_owned())
            }
        };
        Ok(Self {
            client: Wire::new(&platform.client_base_url(), &endpoint, KEY)?,
            arguments: vec![first, run.handler.clone()],
            logs: kit.logs.join(&endpoint),
            stop: kit.stop.clone(),
            side,
            run,
            platform,
            endpoint,
            program,
        })
    }

    /// Takes the worker through its jobs to its end, and compares. A fault is a result, too.
    pub(super) async fn play(self) -> Vec<Row> {
        match self.life().await {
            Ok(ended) => self.compare(&ended),
            Err(fault) => vec![Row::broken(self.side.title(), &self.run.name, &fault)],
        }
    }

    async fn life(&self) -> anyhow::Result<Ended> {
        if self.stop.is_cancelled() {
            bail!("stopped before it began");
        }
        let begun = Instant::now();
        std::fs::create_dir_all(&self.logs)
            .with_context(|| format!("cannot make {}", self.logs.display()))?;
        let gate = Gate::open().await?;
        // Jobs that are to run together are there before the worker, which can take them together.
        let waiting = if self.run.together {
            self.submit_all().await?
        } else {
            Vec::new()
        };
        let worker = Process::start(
            self.side.id(),
            &self.program,
            &self.arguments,
            self.environment(&gate),
            &self.logs,
        )?;
        let played = tokio::select! {
            played = self.until_ended(&worker, &gate, waiting) => played,
            () = self.stop.cancelled() => Err(anyhow!("stopped")),
        };
        match played {
            Ok(ended) => Ok(Ended {
                time: begun.elapsed(),
                ..ended
            }),
            Err(fault) => {
                // Gently: the published worker has a process of its own for heartbeats, which outlives it if it is killed.
                worker.stop().await;
                let words = worker.tail().join("\n  ");
                Err(fault.context(format!("the worker's last words:\n  {words}\n")))
            }
        }
    }

    fn compare(&self, ended: &Ended) -> Vec<Row> {
        let seen = Seen::of(&self.platform, &self.endpoint, ended);
        let row = |case: &str, expected: &Expected, seen: Value| {
            Row::new(
                self.side.title(),
                &format!("{}: {case}", self.run.name),
                &expected.of(self.side),
                seen,
                expected.why.clone(),
                ended.time,
            )
        };
        let jobs = self.run.jobs.iter().zip(&ended.jobs);
        let mut rows: Vec<_> = jobs
            .map(|(case, (id, view))| row(&case.case, &case.expected, seen.job(id, view)))
            .collect();
        for case in &self.run.process {
            rows.push(row(&case.case, &case.expected, seen.look(&case.look)));
        }
        rows
    }

    fn environment(&self, gate: &Gate) -> BTreeMap<String, String> {
        let mut environment: BTreeMap<_, _> = self
            .platform
            .worker_env(&self.endpoint, &self.endpoint)
            .into_iter()
            .collect();
        for (name, value) in [
            ("RUNPOD_PING_INTERVAL", "1000"),
            // The checks of the machine ask for a GPU, a gigabyte of this and the network.
            ("RUNPOD_SKIP_AUTO_SYSTEM_CHECKS", "true"),
            ("RUNPOD_SKIP_GPU_CHECK", "true"),
            ("NO_PROXY", "127.0.0.1"),
            ("PYTHONUNBUFFERED", "1"),
            // The published worker would take a key from a file in the user's home.
            ("HOME", &self.logs.display().to_string()),
            (ours::GATE, &gate.address.to_string()),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        environment
    }

    /// The worker's whole life.
    async fn until_ended(
        &self,
        worker: &Process,
        gate: &Gate,
        waiting: Vec<String>,
    ) -> anyhow::Result<Ended> {
        let mut jobs = Vec::new();
        if self.run.together {
            jobs = self.all_at_once(waiting, gate).await?;
        } else {
            for case in &self.run.jobs {
                jobs.push(
                    self.one(case, worker, gate)
                        .await
                        .with_context(|| format!("in the case `{}`", case.case))?,
                );
            }
        }
        let ends_itself = self.run.ends_itself.contains(&self.side);
        if !ends_itself && (self.run.jobs.is_empty() || !self.run.ends_itself.is_empty()) {
            // It goes on taking. A take has just been answered, so the next one has most of its time before it.
            let before = self.takes();
            limit::seen("a poll for jobs", || (self.takes() > before).then_some(())).await?;
            let both = self
                .platform
                .until(&self.endpoint, |activity| activity.held >= POLLS);
            limit::within("the next poll", both).await?;
        }
        let takes = self.takes();
        let told_before = matches!(self.run.jobs.last(), Some(job) if job.at_gate == Some(AtGate::Sigterm));
        if !ends_itself && !told_before {
            worker.terminate().await;
        }
        let exit = limit::within("the worker's end", worker.ended()).await?;
        Ok(Ended {
            jobs,
            exit,
            terminated: !ends_itself,
            takes,
            time: Duration::ZERO,
        })
    }

    /// How many of its polls for jobs have been answered.
    fn takes(&self) -> usize {
        let calls = record::calls(&self.platform, &self.endpoint);
        calls.iter().filter(|call| record::is_take(call)).count()
    }

    async fn one(&self, case: &JobCase, worker: &Process, gate: &Gate) -> anyhow::Result<(String, Value)> {
        let id = self.submit(&case.input).await?;
        if let Some(event) = case.at_gate {
            let arrival = gate.arrival().await?;
            self.at_gate(event, arrival, worker).await?;
        }
        let view = self.finished(&id).await?;
        Ok((id, view))
    }

    async fn at_gate(&self, event: AtGate, arrival: Arrival, worker: &Process) -> anyhow::Result<()> {
        match event {
            AtGate::Progress => self.called("job-done", &arrival.job).await?,
            AtGate::Heartbeat => self.called("ping", &arrival.job).await?,
            AtGate::Sigterm => worker.terminate().await,
            AtGate::Cancel => {
                self.client
                    .post(&format!("cancel/{}", arrival.job), &json!({}))
                    .await?;
                return arrival.left().await;
            }
        }
        arrival.let_on();
        Ok(())
    }

    /// Waits until the worker has made a call in which the job is named.
    async fn called(&self, operation: &str, job: &str) -> anyhow::Result<()> {
        limit::seen(&format!("a call of {operation} about the job"), || {
            record::calls(&self.platform, &self.endpoint)
                .iter()
                .any(|call| record::operation(call) == operation && call.path_and_query.contains(job))
                .then_some(())
        })
        .await
    }

    async fn submit_all(&self) -> anyhow::Result<Vec<String>> {
        let mut jobs = Vec::new();
        for case in &self.run.jobs {
            jobs.push(self.submit(&case.input).await?);
        }
        Ok(jobs)
    }

    /// Lets no job on before all of them run.
    async fn all_at_once(&self, jobs: Vec<String>, gate: &Gate) -> anyhow::Result<Vec<(String, Value)>> {
        let mut arrivals = Vec::new();
        for _ in &jobs {
            arrivals.push(
                gate.arrival()
                    .await
                    .context("not all jobs run at the same time")?,
            );
        }
        arrivals.into_iter().for_each(Arrival::let_on);
        let mut finished = Vec::new();
        for id in jobs {
            let view = self.finished(&id).await?;
            finished.push((id, view));
        }
        Ok(finished)
    }

    async fn submit(&self, input: &Value) -> anyhow::Result<String> {
        let answer = self.client.post("run", &json!({ "input": input })).await?;
        let id = answer.as_ref().and_then(|answer| answer["id"].as_str());
        id.map(str::to_owned).context("the platform gave no job id")
    }

    async fn finished(&self, id: &str) -> anyhow::Result<Value> {
        let wait = limit::STEP.as_millis() - 1000;
        let answer = self.client.get(&format!("status-sync/{id}?wait={wait}")).await?;
        let view = answer.context("the platform shows no job")?;
        if matches!(view["status"].as_str(), None | Some("IN_QUEUE" | "IN_PROGRESS")) {
            bail!("the job did not end: {view}");
        }
        Ok(view)
    }
}
