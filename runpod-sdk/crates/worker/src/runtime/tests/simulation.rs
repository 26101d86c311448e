//! Hundreds of random lives of a worker: faults, delays, cancels, resizes, pauses, shutdowns.
//!
//! All random choices come from one seed, and the clock is paused, so a seed always plays the same life. `SIMULATION_SEED=17 cargo test simulation` replays one;
//! `SIMULATION_SEEDS=5000` plays more than the usual 500.

use runpod_protocol::sync::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use super::support::{Running, results};
use crate::events::Events;
use crate::platform::memory::{Exchange, Fault, MemoryPlatform};
use crate::runtime::heartbeat::{Liveness, beat};
use crate::runtime::{ActiveJobs, Ended};
use crate::settings::Intake;
use crate::worker::Worker;
use crate::{Concurrency, Context, JobError, JobResult, Streaming, TakeAhead};

/// What one job does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
enum Deed {
    Value,
    Fail,
    Panic,
    /// Reports progress at every step.
    Progress,
    /// Ignores its cancellation.
    Deaf,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Plan {
    number: u32,
    deed: Deed,
    steps: u64,
    step_ms: u64,
    /// How wrong it is about the time that is left, in milliseconds; `None` if it says nothing.
    foretells: Option<u64>,
}

/// What the handlers saw.
#[derive(Default)]
struct Watch {
    running: BTreeSet<u32>,
    started: BTreeMap<u32, usize>,
    limit: usize,
    /// The limit before a change at this very instant: the change may not have arrived yet.
    before: (usize, Option<Instant>),
}

impl Watch {
    fn resize(&mut self, limit: usize) {
        let now = Instant::now();
        let highest = if self.before.1 == Some(now) {
            self.before.0.max(self.limit)
        } else {
            self.limit
        };
        self.before = (highest, Some(now));
        self.limit = limit;
    }
}

struct Guard(Arc<Mutex<Watch>>, u32);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().running.remove(&self.1);
    }
}

async fn act(plan: Plan, ctx: Context, watch: Arc<Mutex<Watch>>) -> JobResult<u32> {
    {
        let mut watch = watch.lock();
        assert!(
            watch.running.insert(plan.number),
            "job {} runs twice at once",
            plan.number
        );
        *watch.started.entry(plan.number).or_default() += 1;
        let allowed = match watch.before {
            (limit, Some(at)) if at == Instant::now() => limit.max(watch.limit),
            _ => watch.limit,
        };
        assert!(
            watch.running.len() <= allowed,
            "{} run where {allowed} may",
            watch.running.len()
        );
    }
    let _guard = Guard(watch, plan.number);
    for step in 0..plan.steps {
        if let Some(wrong) = plan.foretells {
            ctx.finishing_in(Duration::from_millis((plan.steps - step) * plan.step_ms + wrong));
        }
        let pause = tokio::time::sleep(Duration::from_millis(plan.step_ms));
        if plan.deed == Deed::Deaf {
            pause.await;
        } else {
            tokio::select! {
                biased;
                () = pause => {}
                reason = ctx.cancelled() => return Err(JobError::message_only(format!("cancelled: {reason}"))),
            }
        }
        if plan.deed == Deed::Progress {
            ctx.progress(json!({ "step": step }));
        }
    }
    match plan.deed {
        Deed::Fail => Err(JobError::message_only(format!("failed {}", plan.number))),
        // A panic like any other, but without the hook's message for each of thousands.
        Deed::Panic => std::panic::resume_unwind(Box::new(format!("panicked {}", plan.number))),
        _ => Ok(plan.number),
    }
}

fn worker(watch: &Arc<Mutex<Watch>>, streams: bool, concurrency: &Concurrency) -> Worker {
    let watch = watch.clone();
    let worker: Worker = if streams {
        Worker::new(move |plan: Plan, ctx: Context| {
            let watch = watch.clone();
            async move {
                let end = act(plan, ctx, watch).await?;
                Ok::<_, JobError>(
                    Streaming::new(stream::iter((0..=end % 5).map(Ok::<_, JobError>))).aggregated(),
                )
            }
        })
    } else {
        Worker::new(move |plan: Plan, ctx: Context| act(plan, ctx, watch.clone()))
    };
    worker.concurrency(concurrency.clone())
}

/// A concurrency that follows the load without sense, and sometimes out of its range.
fn erratic(watch: &Arc<Mutex<Watch>>) -> Concurrency {
    let watch = watch.clone();
    Concurrency::adaptive(1..=5, move |load| {
        let ended = usize::try_from(load.ended).unwrap_or_default();
        let wanted = (load.running * 7 + ended * 3 + load.limit) % 8;
        watch.lock().resize(wanted.clamp(1, 5));
        wanted
    })
}

/// The faults of one life. Result posts are refused for good only rarely; everything else passes.
fn faults(mut random: fastrand::Rng, level: f64, intake: Intake) -> impl FnMut(&Exchange) -> Option<Fault> {
    move |exchange| {
        let take = matches!(exchange, Exchange::Take { .. });
        assert!(
            !take || intake.is_open(),
            "a take is sent while no job may be taken"
        );
        let chance = random.f64();
        if chance >= level {
            return None;
        }
        Some(match exchange {
            Exchange::Result { body, .. } if chance < level * 0.03 && !body.contains("\"error\"") => {
                Fault::Refuse(413)
            }
            Exchange::Take { .. } => match random.u8(0..4) {
                0 => Fault::Refuse(random.choice([500, 502, 429, 401, 404]).unwrap_or(500)),
                1 => Fault::Delay(Duration::from_millis(random.u64(1..3000))),
                _ => Fault::LoseRequest,
            },
            Exchange::Result { .. } | Exchange::Chunk { .. } => match random.u8(0..4) {
                0 => Fault::Refuse(random.choice([500, 502, 503, 429, 401, 403]).unwrap_or(500)),
                1 => Fault::Delay(Duration::from_millis(random.u64(1..3000))),
                2 if matches!(exchange, Exchange::Result { .. }) => Fault::LoseAnswer,
                _ => Fault::LoseRequest,
            },
            Exchange::Progress { .. } => match random.u8(0..3) {
                0 => Fault::Refuse(500),
                1 => Fault::Delay(Duration::from_millis(random.u64(1..2000))),
                _ => Fault::LoseAnswer,
            },
            Exchange::Heartbeat { .. } | Exchange::HandedOut { .. } => Fault::LoseRequest,
        })
    }
}

async fn life(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let watch = Arc::new(Mutex::new(Watch::default()));
    let adaptive = random.u8(0..4) == 0;
    let concurrency = if adaptive {
        erratic(&watch)
    } else {
        Concurrency::new(random.usize(1..5))
    };
    watch.lock().limit = concurrency.get();
    let streams = random.u8(0..4) == 0;
    let intake = Intake::new();
    let ahead = random.choice([TakeAhead::Off, TakeAhead::Always, TakeAhead::JustInTime]);
    let worker = worker(&watch, streams, &concurrency)
        .intake(&intake)
        .take_ahead(ahead.unwrap_or_default())
        .shutdown_grace(Duration::from_mins(if random.bool() { 10 } else { 1 }))
        .cancel_grace(Duration::from_secs(random.u64(1..10)));
    let (worker, ledger) = Ledger::of(worker);

    let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(random.u64(1..30))));
    platform.hand_out_more_than_asked(random.usize(0..3));
    let level = if random.u8(0..5) == 0 {
        0.0
    } else {
        random.f64() * 0.5
    };
    platform.with_faults(faults(random.fork(), level, intake.clone()));

    let running = Running::start_on(platform.clone(), worker, seed).await;
    let beats = beat_on(&running);

    let jobs = random.u32(3..25);
    let mut stopped = BTreeSet::new();
    for number in 0..jobs {
        let deed = random.choice([
            Deed::Value,
            Deed::Value,
            Deed::Value,
            Deed::Fail,
            Deed::Panic,
            Deed::Progress,
            Deed::Deaf,
        ]);
        let plan = Plan {
            number,
            deed: deed.unwrap_or(Deed::Value),
            steps: random.u64(0..6),
            step_ms: random.u64(0..2000),
            foretells: random.bool().then(|| random.u64(0..200)),
        };
        platform.submit(&format!("j{number}"), json!(plan));
        if random.u8(0..4) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(0..5000))).await;
        }
        if random.u8(0..6) == 0 {
            let victim = random.u32(0..=number);
            platform.stop(&format!("j{victim}"));
            stopped.insert(victim);
        }
        if random.u8(0..6) == 0 && !adaptive {
            let limit = random.usize(1..6);
            {
                let mut watch = watch.lock();
                watch.resize(limit);
            }
            concurrency.set(limit);
        }
        if random.u8(0..6) == 0 {
            intake.pause("something is wrong");
            tokio::time::sleep(Duration::from_millis(random.u64(0..5000))).await;
            if random.bool() {
                intake.resume();
            }
        }
    }
    intake.resume();
    let early = random.u8(0..3) == 0;
    if early {
        tokio::time::sleep(Duration::from_millis(random.u64(0..20_000))).await;
    } else {
        // Long enough for every job, with the slowest delivery that the faults allow.
        let all = platform.until(|exchanges| {
            let done: BTreeSet<String> = results(exchanges).into_iter().map(|(job, _)| job).collect();
            (0..jobs)
                .all(|n| stopped.contains(&n) || done.contains(&format!("j{n}")))
                .then_some(())
        });
        assert!(
            tokio::time::timeout(Duration::from_hours(2), all).await.is_ok(),
            "a job was lost"
        );
    }
    let active_jobs = running.active_jobs.clone();
    let ended = if random.u8(0..3) == 0 {
        intake.retire("it is broken");
        running.ended().await
    } else {
        running.drained().await
    };
    beats.cancel();
    check(&platform, &watch.lock(), &stopped, ended, &active_jobs);
    ledger.check(ended == Ended::Drained);
}

/// A heartbeat that checks, at each beat, the list against what the platform knows.
fn beat_on(running: &Running) -> CancellationToken {
    let stop = CancellationToken::new();
    let liveness = Arc::new(Liveness::new(Duration::from_mins(1)));
    tokio::spawn(liveness.clone().keep_fresh(Duration::from_secs(5)));
    let (platform, active_jobs, stopped) = (
        running.platform.clone(),
        running.active_jobs.clone(),
        stop.clone(),
    );
    tokio::spawn(async move {
        beat(
            &*platform,
            &active_jobs,
            &liveness,
            Duration::from_secs(3),
            &stopped,
            &Events::default(),
        )
        .await;
    });
    stop
}

fn check(
    platform: &MemoryPlatform,
    watch: &Watch,
    stopped: &BTreeSet<u32>,
    ended: Ended,
    active_jobs: &ActiveJobs,
) {
    let exchanges = platform.exchanges();
    super::delivery::nothing_after_the_result(&exchanges);
    heartbeats_list_the_active_jobs(&exchanges, stopped);

    let mut answers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (job, body) in results(&exchanges) {
        answers.entry(job).or_default().insert(body);
    }
    for (job, bodies) in &answers {
        let refused = bodies.iter().any(|body| body.contains("RESULT_REFUSED"));
        assert!(
            bodies.len() == 1 || (bodies.len() == 2 && refused),
            "{job} was answered differently: {bodies:?}"
        );
        let number = job.trim_start_matches('j');
        for body in bodies {
            let own = body.contains("RESULT_REFUSED")
                || body.contains("cancelled: ")
                || body.contains(&format!("failed {number}"))
                || body.contains(&format!("panicked {number}"))
                || body.contains(&format!("\"output\": {number}}}"))
                || body.contains(&format!("\"output\": {number}, \"stopPod\": true}}"))
                || body.contains("\"output\": [0");
            assert!(own, "{job} got the answer of another job: {body}");
        }
    }
    for (number, times) in &watch.started {
        assert_eq!(*times, 1, "job {number} ran more than once");
    }
    match ended {
        Ended::Drained => {
            assert!(active_jobs.is_empty());
            for job in platform.handed_out() {
                let number: u32 = job.trim_start_matches('j').parse().unwrap();
                assert!(
                    answers.contains_key(&job) || stopped.contains(&number),
                    "{job} was taken and never answered"
                );
            }
        }
        Ended::Abandoned { jobs } => assert_eq!(jobs, active_jobs.len()),
    }
}

/// Each beat names every job that was handed out and is neither answered nor stopped, and no job
/// that was never handed out. What it may name beside those is a job whose answer got lost on its
/// way back, so that the worker posts its result again.
fn heartbeats_list_the_active_jobs(exchanges: &[Exchange], stopped: &BTreeSet<u32>) {
    let mut given = BTreeSet::new();
    let mut open = BTreeSet::new();
    for exchange in exchanges {
        match exchange {
            Exchange::HandedOut { job } => {
                given.insert(job);
                let number: u32 = job.as_str().trim_start_matches('j').parse().unwrap();
                if !stopped.contains(&number) {
                    open.insert(job);
                }
            }
            Exchange::Result { job, .. } => {
                open.remove(job);
            }
            Exchange::Heartbeat { jobs } => {
                let named: BTreeSet<&crate::JobId> = jobs.iter().collect();
                assert_eq!(named.len(), jobs.len(), "a job is listed twice");
                assert!(named.is_subset(&given), "{named:?} was never handed out");
                assert!(
                    open.is_subset(&named),
                    "{open:?} is active, but only {named:?} is listed"
                );
            }
            _ => {}
        }
    }
}

#[test]
fn simulation_of_many_lives() {
    let one = std::env::var("SIMULATION_SEED")
        .ok()
        .and_then(|seed| seed.parse::<u64>().ok());
    let many = std::env::var("SIMULATION_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(500);
    let seeds = one.map_or(0..many, |seed| seed..seed + 1);
    let mut failed = Vec::new();
    for seed in seeds {
        let lived = std::panic::catch_unwind(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap()
                .block_on(life(seed));
        });
        if lived.is_err() {
            eprintln!(
                "seed {seed} failed; replay it with SIMULATION_SEED={seed} cargo test -p runpod-sdk simulation"
            );
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
}
