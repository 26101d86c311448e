//! What is measured, and what it has to reach. `docs/bench.md` tells how, and why so.

mod ahead;
mod batches;
mod growth;
mod healing;
mod idle;
mod journal;
mod platform;
mod queue;
mod throughput;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum;
use runpod_sdk::testing::Harness;
use runpod_sdk::{JobError, Worker};
use serde::{Deserialize, Serialize};
use support::progress::Progress;
use tokio::time::sleep;

use crate::fakes::{Fakes, Jobs, Plan, Record};
use crate::figures::{Line, Samples, Target, Unit, median};
use crate::process::{Program, Running};

/// Bytes of an answer that is as good as none.
const SMALL: usize = 1 << 10;
/// How long a program may take to its first take. Python needs seconds.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long the jobs of one measurement may take.
const JOBS_LIMIT: Duration = Duration::from_mins(3);
/// How long a program that has started is left alone before it counts as idle.
const SETTLE: Duration = Duration::from_secs(1);

/// A group of lines that come from the same measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// Jobs a second, with small jobs waiting
    JobsPerSecond,
    /// Time the WebUI waits between two requests
    BetweenRequests,
    /// How busy the WebUI is kept with renders of 200 ms
    BackendBusy,
    /// From exec to the first take
    FirstTake,
    /// Memory of an idle worker
    IdleMemory,
    /// CPU time of an idle worker
    IdleCpu,
    /// Time, CPU time and memory for answers of 8 MB
    #[value(name = "answer-8mb")]
    Answer8Mb,
    /// Time, CPU time and memory for answers of 24 MB
    #[value(name = "answer-24mb")]
    Answer24Mb,
    /// What the runtime adds to a handler, without a network
    HandlerOverhead,
    /// How busy a backend is kept 50 ms away from the platform, by the ways to take jobs ahead
    TakeAhead,
    /// Cancel, crash, out of memory and a slow start of a WebUI that sd-worker owns
    Healing,
    /// Pictures a second of different jobs in batches, and what batches cost a job
    Batches,
    /// What a journal on the local disk costs a job
    Journal,
    /// How much more memory a worker needs after 100 000 jobs than after 1 000
    MemoryGrowth,
    /// Memory of the local platform while large jobs wait
    PlatformMemory,
    /// CPU time of the local platform while 50 idle workers poll
    PlatformIdle,
    /// How soon the local platform hands out a job
    PlatformTake,
    /// Small jobs a second through the local platform's queue
    PlatformQueue,
}

/// What is compared, and how thoroughly.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) ours: Program,
    pub(crate) floor: Program,
    /// A worker made with the SDK, for what is the SDK's alone.
    pub(crate) worker: Program,
    pub(crate) python: Option<Program>,
    pub(crate) quick: bool,
    pub(crate) logs: PathBuf,
    pub(crate) progress: RefCell<Progress>,
    /// Rows that are done, and rows in all.
    pub(crate) rows: (usize, usize),
}

impl Row {
    /// Whether sd-worker is measured, and has to be built.
    pub(crate) fn runs_worker(self) -> bool {
        !matches!(
            self,
            Self::HandlerOverhead
                | Self::TakeAhead
                | Self::Journal
                | Self::MemoryGrowth
                | Self::PlatformMemory
                | Self::PlatformIdle
                | Self::PlatformTake
                | Self::PlatformQueue
        )
    }

    pub(crate) async fn measure(self, bench: &Bench) -> anyhow::Result<Vec<Line>> {
        match self {
            Self::JobsPerSecond => bench.jobs_per_second().await,
            Self::BetweenRequests => bench.between_requests().await,
            Self::BackendBusy => bench.backend_busy().await,
            Self::FirstTake => bench.first_take().await,
            Self::IdleMemory => bench.idle_memory().await,
            Self::IdleCpu => bench.idle_cpu().await,
            Self::Answer8Mb => bench.answers(8, 40).await,
            Self::Answer24Mb => bench.answers(24, 20).await,
            Self::HandlerOverhead => bench.handler_overhead().await,
            Self::TakeAhead => bench.take_ahead().await,
            Self::Healing => bench.healing().await,
            Self::Batches => bench.batches().await,
            Self::Journal => bench.journal().await,
            Self::MemoryGrowth => bench.memory_growth().await,
            Self::PlatformMemory => bench.platform_memory().await,
            Self::PlatformIdle => bench.platform_idle().await,
            Self::PlatformTake => bench.platform_take().await,
            Self::PlatformQueue => bench.platform_queue().await,
        }
    }
}

impl Bench {
    async fn answers(&self, megabytes: usize, jobs: usize) -> anyhow::Result<Vec<Line>> {
        let plan = Plan {
            answer: megabytes * 1_000_000,
            one_at_a_time: true,
            ..Plan::prompt()
        };
        let [latency, cpu, peak, idle] = self
            .alternate(self.rounds(5), async |program| {
                let (fakes, mut running) = self.start(program, plan).await?;
                sleep(SETTLE).await;
                let idle = running.memory()?;
                self.jobs(&fakes, &mut running, 3).await?;
                let jobs = self.jobs_for(program, jobs);
                let before = running.cpu()?;
                let record = self.jobs(&fakes, &mut running, jobs).await?;
                let used = running.cpu()?.saturating_sub(before);
                let peak = running.peak_memory()?;
                running.kill().await?;
                let latencies: Vec<f64> = record
                    .deliveries
                    .iter()
                    .map(|job| millis(job.delivered.duration_since(job.handed_out)))
                    .collect();
                let latency = median(&latencies).context("no job was delivered")?;
                #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
                let cpu = millis(used) / jobs as f64;
                Ok([latency, cpu, mebibytes(peak), mebibytes(idle)])
            })
            .await?;
        let answer = mebibytes(plan.answer as u64);
        let limit = median(&idle.ours).context("no idle memory")? + 1.5 * answer;
        let name = |what| format!("{megabytes} MB answer, {what}");
        Ok(vec![
            line(
                &name("take to done"),
                Unit::Millis,
                latency,
                Target::AtMostFloor(1.2),
            ),
            line(&name("CPU"), Unit::Millis, cpu, Target::AtMostFloor(1.7)),
            line(&name("peak memory"), Unit::Mebibytes, peak, Target::AtMost(limit)),
        ])
    }

    /// A whole worker in this process, with a platform in memory: from submitting a job to its end.
    async fn handler_overhead(&self) -> anyhow::Result<Vec<Line>> {
        #[derive(Clone, Serialize, Deserialize)]
        struct Input {
            prompt: String,
            steps: u32,
            cfg_scale: f64,
        }
        /// The platform in memory remembers all it has heard, and looks through it for each answer.
        const JOBS: usize = 25;
        let input = Input {
            prompt: "x".repeat(SMALL),
            steps: 20,
            cfg_scale: 7.0,
        };
        let mut samples = Samples::default();
        let rounds = self.rounds(20);
        for round in 0..rounds {
            self.show_round(round, rounds, "a worker in memory");
            let echo = Worker::new(async |input: Input| Ok::<_, JobError>(input));
            let harness = Harness::new(echo);
            for job in 0..JOBS {
                let started = Instant::now();
                let run = harness.submit(&input).finished().await;
                let time = millis(started.elapsed());
                run.output().context("the job in memory failed")?;
                // The first jobs of the first worker meet cold code.
                if round > 0 || job > JOBS / 2 {
                    samples.ours.push(time);
                }
            }
            harness.shut_down().await;
        }
        Ok(vec![line(
            "handler overhead at 1 KB",
            Unit::Millis,
            samples,
            Target::Below(1.0),
        )])
    }

    /// Measures each program in turn, so that a busy moment of the machine hits all of them.
    async fn alternate<const N: usize>(
        &self,
        rounds: usize,
        measure: impl AsyncFn(&Program) -> anyhow::Result<[f64; N]>,
    ) -> anyhow::Result<[Samples; N]> {
        let mut all: [Samples; N] = std::array::from_fn(|_| Samples::default());
        for round in 0..rounds {
            self.show_round(round, rounds, self.ours.name);
            for (samples, value) in all.iter_mut().zip(measure(&self.ours).await?) {
                samples.ours.push(value);
            }
            for (samples, value) in all.iter_mut().zip(measure(&self.floor).await?) {
                samples.floor.push(value);
            }
        }
        if let Some(python) = &self.python {
            self.show(1.0, python.name);
            for (samples, value) in all.iter_mut().zip(measure(python).await?) {
                samples.python.push(value);
            }
        }
        Ok(all)
    }

    /// Starts a program and waits for its first take.
    async fn start(&self, program: &Program, plan: Plan) -> anyhow::Result<(Fakes, Running)> {
        let fakes = Fakes::start(plan)?;
        let mut running = program.start(&fakes, &self.logs)?;
        running.within(START_LIMIT, fakes.first_take()).await?;
        Ok((fakes, running))
    }

    /// Gives a program a number of jobs, and waits until all are delivered.
    async fn jobs(&self, fakes: &Fakes, running: &mut Running, jobs: usize) -> anyhow::Result<Record> {
        fakes.release(jobs);
        running.within(JOBS_LIMIT, fakes.all_delivered()).await?;
        fakes.take_record()
    }

    fn jobs_for(&self, program: &Program, jobs: usize) -> usize {
        match (program.slow, self.quick) {
            (true, _) => jobs.div_ceil(100).max(3),
            (false, true) => jobs.div_ceil(3),
            (false, false) => jobs,
        }
    }

    fn rounds(&self, rounds: usize) -> usize {
        if self.quick { rounds.div_ceil(3) } else { rounds }
    }

    fn show_round(&self, round: usize, rounds: usize, what: &str) {
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        self.show(round as f64 / rounds as f64, what);
    }

    /// Shows how far this row, and with it everything, is.
    fn show(&self, of_this_row: f64, what: &str) {
        let (done, all) = self.rows;
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let share = (done as f64 + of_this_row) / all as f64;
        self.progress.borrow_mut().show(share, what);
    }
}

impl Plan {
    /// Servers that lose no time. What programs that get no job need, too.
    const fn prompt() -> Self {
        Self {
            render: Duration::ZERO,
            answer: SMALL,
            one_at_a_time: false,
            round_trip: Duration::ZERO,
            jobs: Jobs::Alike,
        }
    }
}

/// From the first hand-out to the last result.
fn time_of(record: &Record) -> anyhow::Result<Duration> {
    let first = record.deliveries.iter().map(|job| job.handed_out).min();
    let last = record.deliveries.iter().map(|job| job.delivered).max();
    let (first, last) = first.zip(last).context("no job was delivered")?;
    Ok(last.duration_since(first))
}

/// The share of the time in which the backend has something to do.
fn busy_share(record: &Record) -> anyhow::Result<f64> {
    let first = record.renders.first().context("no render")?;
    let last = record.renders.last().context("no render")?;
    let rendering: Duration = record
        .renders
        .iter()
        .map(|render| render.answered.duration_since(render.asked))
        .sum();
    let all = last.answered.duration_since(first.asked);
    Ok(100.0 * rendering.as_secs_f64() / all.as_secs_f64())
}

fn line(name: &str, unit: Unit, samples: Samples, target: Target) -> Line {
    Line {
        name: name.to_owned(),
        unit,
        samples,
        target,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
