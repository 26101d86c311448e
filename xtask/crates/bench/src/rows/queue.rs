//! The row of the local platform's queue: platform, clients and workers in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use runpod_sdk::local::LocalPlatform;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinSet;

use super::{Bench, JOBS_LIMIT, line};
use crate::figures::{Line, Samples, Target, Unit};
use crate::platform::{ENDPOINT, Endpoint, request};

/// Clients that submit, and as many workers, each with one request at a time.
const PAIRS: usize = 8;
/// Bytes of a small input.
const SMALL: usize = 64;

impl Bench {
    pub(super) async fn platform_queue(&self) -> anyhow::Result<Vec<Line>> {
        let jobs = if self.quick { 4000 } else { 16_000 };
        let mut rates = Samples::default();
        let rounds = self.rounds(3);
        for round in 0..rounds {
            self.show_round(round, rounds, "platform, small jobs");
            let threads = Threads::new()?;
            let work = threads.handle.spawn(async move {
                // Cold code.
                through_the_queue(1000).await?;
                through_the_queue(jobs).await
            });
            let time = tokio::time::timeout(JOBS_LIMIT, work)
                .await
                .context("the jobs took too long")?
                .context("the platform panicked")??;
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            rates.ours.push(jobs as f64 / time.as_secs_f64());
        }
        Ok(vec![line(
            "jobs per second, platform's queue",
            Unit::PerSecond,
            rates,
            Target::AtLeast(5000.0),
        )])
    }
}

/// All of the machine's cores, which the platform has in `runpod-local`, too. The command itself has one.
struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    fn new() -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("no runtime")?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A runtime must not be waited for inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// From the first submission to the last acknowledged result. Submitting, taking and finishing go on beside each other.
async fn through_the_queue(jobs: usize) -> anyhow::Result<Duration> {
    let platform = LocalPlatform::builder().endpoint(ENDPOINT).start().await?;
    let env = platform.worker_env(ENDPOINT, "worker").into_iter().collect();
    let endpoint = Endpoint::new(&platform.url(), &env)?;
    let mut callers = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let worker = endpoint.worker(&format!("worker-{pair}")).await?;
        callers.push((endpoint.client().await?, worker));
    }
    let request = request(SMALL);
    let (to_submit, to_take) = (Countdown::from(jobs), Countdown::from(jobs));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (mut client, mut worker) in callers {
        let (left, request) = (to_submit.clone(), Bytes::clone(&request));
        tasks.spawn(async move {
            while left.next() {
                client.submit(request.clone()).await?;
            }
            anyhow::Ok(())
        });
        let left = to_take.clone();
        tasks.spawn(async move {
            while left.next() {
                let job = worker.take().await?;
                worker.done(&job).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("a caller panicked")??;
    }
    let time = started.elapsed();
    let completed = platform.snapshot(ENDPOINT).map(|endpoint| endpoint.completed);
    ensure!(
        completed == Some(jobs as u64),
        "{completed:?} jobs of {jobs} were completed"
    );
    platform.shutdown().await;
    Ok(time)
}

/// A countdown that all its clones share.
#[derive(Debug, Clone)]
struct Countdown(Arc<AtomicUsize>);

impl Countdown {
    fn from(count: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(count)))
    }

    fn next(&self) -> bool {
        let down = |left: usize| left.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, down)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_is_shared_and_ends() {
        let first = Countdown::from(3);
        let second = first.clone();
        assert_eq!(
            [
                first.next(),
                second.next(),
                first.next(),
                second.next(),
                first.next()
            ],
            [true, true, true, false, false]
        );
    }

    #[tokio::test]
    async fn as_many_jobs_arrive_as_were_submitted() {
        through_the_queue(40).await.unwrap();
    }
}
