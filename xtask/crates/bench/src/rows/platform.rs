//! The rows of the local platform that is a process of its own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio::time::{interval_at, sleep};

use super::{Bench, JOBS_LIMIT, SETTLE, line, mebibytes, millis};
use crate::figures::{Line, Samples, Target, Unit, median};
use crate::platform::{Channel, Endpoint, Platform, request};

/// Bytes of a large input.
const LARGE: usize = 1_000_000;
/// Bytes of an input as large as a usual one.
const USUAL: usize = 256;
/// Workers that have nothing to do.
const IDLE: usize = 50;
/// Long enough for a poll that is sent to be held.
const HELD: Duration = Duration::from_millis(2);

impl Bench {
    /// The peak, not what is in use in the end: reading and parsing count, too.
    pub(super) async fn platform_memory(&self) -> anyhow::Result<Vec<Line>> {
        let jobs = if self.quick { 200 } else { 1000 };
        let request = request(LARGE);
        let mut peaks = Samples::default();
        let rounds = self.rounds(3);
        for round in 0..rounds {
            self.show_round(round, rounds, "platform, large jobs");
            let Platform {
                mut running,
                endpoint,
            } = self.platform().await?;
            let submitting = async {
                let mut client = endpoint.client().await?;
                for _ in 0..jobs {
                    client.submit(request.clone()).await?;
                }
                client.health().await
            };
            let health = running.within(JOBS_LIMIT, submitting).await??;
            ensure!(health.jobs.in_queue == jobs, "some jobs do not wait: {health:?}");
            peaks.ours.push(mebibytes(running.peak_memory()?));
            running.kill().await?;
        }
        let payload = mebibytes((jobs * LARGE) as u64);
        Ok(vec![line(
            &format!("{jobs} jobs of 1 MB wait, peak memory"),
            Unit::Mebibytes,
            peaks,
            Target::AtMost(1.5 * payload),
        )])
    }

    /// Takes and polls for stop signals are held for 20 s, so in that time each of them ends once and begins anew.
    pub(super) async fn platform_idle(&self) -> anyhow::Result<Vec<Line>> {
        let time = Duration::from_secs(if self.quick { 5 } else { 20 });
        self.show(0.0, "platform, idle workers");
        let Platform {
            mut running,
            endpoint,
        } = self.platform().await?;
        let mut workers = JoinSet::new();
        for worker in 0..IDLE {
            be_idle(&endpoint, worker, &mut workers).await?;
        }
        sleep(SETTLE).await;
        let before = running.cpu()?;
        let idling = async {
            tokio::select! {
                Some(ended) = workers.join_next() => ended.context("a worker panicked").flatten(),
                () = sleep(time) => Ok(()),
            }
        };
        running.within(JOBS_LIMIT, idling).await??;
        let used = running.cpu()?.saturating_sub(before);
        let health = endpoint.client().await?.health().await?;
        ensure!(health.workers.idle == IDLE, "not {IDLE} idle workers: {health:?}");
        running.kill().await?;
        let share = 100.0 * used.as_secs_f64() / time.as_secs_f64();
        let samples = Samples {
            ours: vec![share],
            ..Samples::default()
        };
        Ok(vec![line(
            &format!("{IDLE} workers poll, CPU of one core"),
            Unit::Percent,
            samples,
            Target::Below(5.0),
        )])
    }

    /// Both ways in which a worker and a job meet: the job waits for a take, or the take waits for a job.
    pub(super) async fn platform_take(&self) -> anyhow::Result<Vec<Line>> {
        let jobs = if self.quick { 100 } else { 300 };
        let (mut waiting, mut held) = (Samples::default(), Samples::default());
        let rounds = self.rounds(5);
        for round in 0..rounds {
            self.show_round(round, rounds, "platform, hand-outs");
            let Platform {
                mut running,
                endpoint,
            } = self.platform().await?;
            let measuring = async {
                // Cold code.
                takes_of_waiting_jobs(&endpoint, 20).await?;
                jobs_for_held_takes(&endpoint, 20).await?;
                let waiting = takes_of_waiting_jobs(&endpoint, jobs).await?;
                anyhow::Ok((waiting, jobs_for_held_takes(&endpoint, jobs).await?))
            };
            let (takes, submissions) = running.within(JOBS_LIMIT, measuring).await??;
            running.kill().await?;
            waiting.ours.push(median(&takes).context("no take")?);
            held.ours.push(median(&submissions).context("no job")?);
        }
        let target = Target::Below(1.0);
        Ok(vec![
            line("take to hand-out, jobs wait", Unit::Millis, waiting, target),
            line("submit to hand-out, worker waits", Unit::Millis, held, target),
        ])
    }

    async fn platform(&self) -> anyhow::Result<Platform> {
        // The floor is this very program, too.
        Platform::start(self.floor.file.clone(), &self.logs).await
    }
}

/// Asks for jobs and for stop signals without a pause, and pings as often as the platform wants.
async fn be_idle(
    endpoint: &Endpoint,
    number: usize,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let worker = format!("worker-{number}");
    for channel in [Channel::Take, Channel::Stop] {
        let mut poll = endpoint.channel(&worker, channel).await?;
        tasks.spawn(async move {
            loop {
                poll.ask().await?;
            }
        });
    }
    let mut ping = endpoint.channel(&worker, Channel::Ping).await?;
    let every = endpoint.ping_interval;
    // Workers that were not started at once do not ping at once.
    #[expect(clippy::cast_possible_truncation, reason = "a few dozen")]
    let first = every * number as u32 / IDLE as u32;
    tasks.spawn(async move {
        let mut ticks = interval_at(tokio::time::Instant::now() + first, every);
        loop {
            ticks.tick().await;
            ping.ask().await?;
        }
    });
    Ok(())
}

/// From just before a take is sent until its job is here, in milliseconds.
async fn takes_of_waiting_jobs(endpoint: &Endpoint, jobs: usize) -> anyhow::Result<Vec<f64>> {
    let (mut client, mut worker) = (endpoint.client().await?, endpoint.worker("worker").await?);
    for _ in 0..jobs {
        client.submit(request(USUAL)).await?;
    }
    let mut times = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        let asked = Instant::now();
        let job = worker.take().await?;
        times.push(millis(asked.elapsed()));
        worker.done(&job).await?;
    }
    Ok(times)
}

/// From just before a job is submitted until a worker that was waiting for it has it, in milliseconds.
async fn jobs_for_held_takes(endpoint: &Endpoint, jobs: usize) -> anyhow::Result<Vec<f64>> {
    let (mut client, mut worker) = (endpoint.client().await?, endpoint.worker("worker").await?);
    let mut times = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        let taking = async {
            let job = worker.take().await?;
            anyhow::Ok((job, Instant::now()))
        };
        let submitting = async {
            sleep(HELD).await;
            let submitted = Instant::now();
            client.submit(request(USUAL)).await?;
            Ok(submitted)
        };
        let ((job, taken), submitted) = tokio::try_join!(taking, submitting)?;
        times.push(millis(taken.duration_since(submitted)));
        worker.done(&job).await?;
    }
    Ok(times)
}
