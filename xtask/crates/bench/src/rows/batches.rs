//! The rows of different jobs in one batch: sd-worker before the mock, which renders at the measured cost of batches.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use support::cargo;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{Bench, START_LIMIT, line, millis};
use crate::fakes::{Fakes, Jobs, Plan, Record};
use crate::figures::{Line, Samples, Target, Unit, median};
use crate::process::Program;

/// Of one H200, 512×512: the time of a batch of 1, 2, 4, 8 pictures by that of one.
const COSTS: &str = "1,1.1,1.58,2.9";
const STEP_MS: &str = "10";
const LIMIT: usize = 8;
/// Jobs that do not count: two batches, from which the worker learns how long one takes.
const WARM_UP: usize = 2 * LIMIT;
/// Far below the answer of the mock, and of an error.
const ANSWER: usize = 50;

/// How a program is run.
#[derive(Clone, Copy)]
struct Way<'a> {
    program: &'a Program,
    batch_limit: usize,
}

impl<'a> Way<'a> {
    fn of(program: &'a Program, batch_limit: usize) -> Self {
        Self { program, batch_limit }
    }
}

/// A WebUI that renders batches of different jobs.
struct Batching {
    url: String,
    _child: Child,
}

impl Bench {
    pub(super) async fn batches(&self) -> anyhow::Result<Vec<Line>> {
        let mock = cargo::build_release("mock-webui")?;
        let (alone, batched) = (Way::of(&self.ours, 1), Way::of(&self.ours, LIMIT));
        let mut lines = self.batch_rates(&mock, alone, batched).await?;
        let good = Jobs::Different {
            sizes: 1,
            guilty: None,
        };
        let mut compare = async |name: &str, plan: Plan, count: usize, target: Target, of: Figure| {
            let mut samples = Samples::default();
            let rounds = self.rounds(3);
            for round in 0..rounds {
                self.show_round(round, rounds, name);
                samples
                    .ours
                    .push(of(&self.batch_run(&mock, batched, plan, count).await?)?);
                samples
                    .floor
                    .push(of(&self.batch_run(&mock, alone, plan, count).await?)?);
            }
            lines.push(line(name, Unit::Millis, samples, target));
            anyhow::Ok(())
        };
        let one_at_a_time = Plan {
            one_at_a_time: true,
            ..plan(good)
        };
        compare(
            "batches on: a job that is alone",
            one_at_a_time,
            10,
            Target::AtMostFloor(1.05),
            held,
        )
        .await?;
        let mixed = plan(Jobs::Different {
            sizes: 3,
            guilty: None,
        });
        compare(
            "batches: 48 jobs of 3 sizes, longest in the worker",
            mixed,
            48,
            Target::Nothing,
            longest_held,
        )
        .await?;
        let guilty = plan(Jobs::Different {
            sizes: 1,
            guilty: Some(3),
        });
        compare(
            "batches: 8 jobs, one guilty, all answered after",
            guilty,
            LIMIT,
            Target::Nothing,
            whole,
        )
        .await?;
        compare(
            "batches: 8 good jobs, all answered after",
            plan(good),
            LIMIT,
            Target::Nothing,
            whole,
        )
        .await?;
        Ok(lines)
    }

    /// Pictures per second while jobs of different prompts wait: in batches, and one by one with each program.
    async fn batch_rates(&self, mock: &Path, alone: Way<'_>, batched: Way<'_>) -> anyhow::Result<Vec<Line>> {
        let jobs = plan(Jobs::Different {
            sizes: 1,
            guilty: None,
        });
        let (mut together, mut single) = (Samples::default(), Samples::default());
        let rounds = self.rounds(3);
        for round in 0..rounds {
            self.show_round(round, rounds, "batches");
            let record = self.batch_run(mock, batched, jobs, WARM_UP + 64).await?;
            together.ours.push(rate(&record, WARM_UP)?);
            let few = 24;
            single
                .ours
                .push(rate(&self.batch_run(mock, alone, jobs, few).await?, 4)?);
            let floor = Way::of(&self.floor, 1);
            single
                .floor
                .push(rate(&self.batch_run(mock, floor, jobs, few).await?, 4)?);
        }
        if let Some(python) = &self.python {
            let record = self.batch_run(mock, Way::of(python, 1), jobs, 12).await?;
            single.python.push(rate(&record, 2)?);
        }
        let wanted = 2.6 * median(&single.ours).context("no round")?;
        Ok(vec![
            line(
                "pictures per second, one by one",
                Unit::PerSecond,
                single,
                Target::Nothing,
            ),
            line(
                "pictures per second, batches of 8",
                Unit::PerSecond,
                together,
                Target::AtLeast(wanted),
            ),
        ])
    }

    /// Runs jobs that wait from the start.
    async fn batch_run(&self, mock: &Path, way: Way<'_>, plan: Plan, count: usize) -> anyhow::Result<Record> {
        let webui = Batching::start(mock).await?;
        let fakes = Fakes::start(plan)?;
        let mut environment = fakes.environment();
        environment.retain(|(name, _)| *name != "SD_WORKER_WEBUI_URL");
        environment.push(("SD_WORKER_WEBUI_URL", webui.url.clone()));
        if way.batch_limit > 1 {
            environment.push(("SD_WORKER_BATCH_LIMIT", way.batch_limit.to_string()));
        }
        fakes.release(count);
        let mut running = way.program.start_with(environment, &self.logs)?;
        running.within(START_LIMIT * 3, fakes.all_delivered()).await?;
        let record = fakes.take_record()?;
        running.kill().await?;
        ensure!(record.deliveries.len() == count, "not every job was answered");
        Ok(record)
    }
}

impl Batching {
    async fn start(mock: &Path) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let scenario = cargo::root().join("target/bench/guilty.json");
        std::fs::write(
            &scenario,
            r#"{"faults": [{"kind": "nan-for", "text": "guilty", "times": 0}]}"#,
        )?;
        let mut child = Command::new(mock)
            .args(["--listen", &address.to_string(), "--step-ms", STEP_MS])
            .args(["--batch-extension", "--batch-costs", COSTS, "--scenario"])
            .arg(&scenario)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the mock")?;
        let lines = child.stdout.take().context("no output of the mock")?;
        // It says so once it can be called.
        BufReader::new(lines).lines().next_line().await?;
        Ok(Self {
            url: format!("http://{address}"),
            _child: child,
        })
    }
}

fn plan(jobs: Jobs) -> Plan {
    Plan {
        answer: ANSWER,
        jobs,
        ..Plan::prompt()
    }
}

/// A figure of one run, in milliseconds.
type Figure = fn(&Record) -> anyhow::Result<f64>;

/// Results per second after the first `warm_up` results.
fn rate(record: &Record, warm_up: usize) -> anyhow::Result<f64> {
    let mut delivered: Vec<_> = record.deliveries.iter().map(|job| job.delivered).collect();
    delivered.sort_unstable();
    let first = delivered.get(warm_up - 1).context("too few results")?;
    let last = delivered.last().context("no result")?;
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let jobs = (delivered.len() - warm_up) as f64;
    Ok(jobs / last.duration_since(*first).as_secs_f64())
}

/// The median of the times in which the worker had a job.
fn held(record: &Record) -> anyhow::Result<f64> {
    let times: Vec<f64> = times(record).map(millis).collect();
    median(&times).context("no result")
}

fn longest_held(record: &Record) -> anyhow::Result<f64> {
    times(record).max().map(millis).context("no result")
}

/// From the first hand-out to the last result.
fn whole(record: &Record) -> anyhow::Result<f64> {
    super::time_of(record).map(millis)
}

fn times(record: &Record) -> impl Iterator<Item = Duration> {
    let each = record.deliveries.iter();
    each.map(|job| job.delivered.duration_since(job.handed_out))
}
