//! Properties that hold in every order of what clients, workers and time do: no job is lost or in two places, every
//! chunk is read once, and the index is true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::chunks::TakenChunks;
use super::job::Phase;
use super::*;
use crate::received::PostedResult;
use crate::received::ReceivedJob;

/// One thing that happens. Indices pick among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Submit { webhook: bool },
    Take { worker: usize, at_most: usize },
    Sent(usize),
    Cut(usize),
    Progress { worker: usize, job: usize },
    Chunk { worker: usize, job: usize },
    Finish { worker: usize, job: usize, fails: bool },
    Ping { worker: usize, job: usize },
    Cancel(usize),
    Retry(usize),
    Purge,
    Read(usize),
    ReaderGone(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let worker = || 0..3_usize;
    let any_one = || 0..1000_usize;
    let step = prop_oneof![
        4 => any::<bool>().prop_map(|webhook| Step::Submit { webhook }),
        4 => (worker(), 1..4_usize).prop_map(|(worker, at_most)| Step::Take { worker, at_most }),
        3 => any_one().prop_map(Step::Sent),
        1 => any_one().prop_map(Step::Cut),
        2 => (worker(), any_one()).prop_map(|(worker, job)| Step::Progress { worker, job }),
        3 => (worker(), any_one()).prop_map(|(worker, job)| Step::Chunk { worker, job }),
        3 => (worker(), any_one(), any::<bool>())
            .prop_map(|(worker, job, fails)| Step::Finish { worker, job, fails }),
        2 => (worker(), any_one()).prop_map(|(worker, job)| Step::Ping { worker, job }),
        1 => any_one().prop_map(Step::Cancel),
        1 => any_one().prop_map(Step::Retry),
        1 => Just(Step::Purge),
        3 => any_one().prop_map(Step::Read),
        1 => any_one().prop_map(Step::ReaderGone),
        3 => (0..60_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..120)
}

/// The store, and what must be true of it.
struct World {
    store: Store,
    now: Duration,
    jobs: Vec<JobId>,
    /// Hand-outs of which it is not yet known whether they arrived.
    in_flight: Vec<(WorkerId, Vec<Lease>)>,
    /// Numbers of the chunks posted and read, by job.
    posted: BTreeMap<JobId, Vec<u32>>,
    read: BTreeMap<JobId, Vec<u32>>,
    /// The last page each reader took, until it is known that it arrived.
    pages: Vec<(JobId, TakenChunks)>,
    finals: BTreeMap<JobId, JobStatus>,
    /// How often each job became final, and how often its webhook was due.
    ended: BTreeMap<JobId, usize>,
    webhooks: BTreeMap<JobId, usize>,
    next_chunk: u32,
}

fn worker(n: usize) -> WorkerId {
    format!("w{n}").into()
}

fn request(webhook: bool) -> ReceivedJob {
    let url = if webhook {
        r#","webhook":"http://127.0.0.1/""#
    } else {
        ""
    };
    ReceivedJob::parse(&Bytes::from(format!(r#"{{"input":1{url}}}"#))).unwrap()
}

impl World {
    fn new() -> Self {
        // Long enough that nothing is forgotten while the steps run.
        let forever = Duration::from_hours(24 * 365);
        let settings = EndpointSettings::default().ttl(forever).run_retention(forever);
        Self {
            store: Store::new(settings),
            now: Duration::ZERO,
            jobs: Vec::new(),
            in_flight: Vec::new(),
            posted: BTreeMap::new(),
            read: BTreeMap::new(),
            pages: Vec::new(),
            finals: BTreeMap::new(),
            ended: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            next_chunk: 0,
        }
    }

    fn job(&self, index: usize) -> JobId {
        match self.jobs.len() {
            0 => "no such job".into(),
            count => JobId::clone(&self.jobs[index % count]),
        }
    }

    fn act(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Submit { webhook } => {
                let id: JobId = format!("j{}", self.jobs.len()).into();
                self.store
                    .submit(now, &id, Origin::Run, request(webhook))
                    .unwrap();
                self.jobs.push(id);
            }
            Step::Take { worker: n, at_most } => {
                let leases = self.store.take(now, &worker(n), at_most);
                self.in_flight.push((worker(n), leases));
            }
            Step::Sent(index) => {
                if let Some((worker, leases)) = pick(&mut self.in_flight, index) {
                    self.store.delivered(&worker, &leases);
                }
            }
            Step::Cut(index) => {
                if let Some((worker, leases)) = pick(&mut self.in_flight, index) {
                    self.store.put_back(now, &worker, &leases);
                }
            }
            Step::Progress { worker: n, job } => {
                let job = self.job(job);
                self.store
                    .progress(now, &worker(n), &job, Some(Bytes::from("50")));
            }
            Step::Chunk { worker: n, job } => {
                let (job, number) = (self.job(job), self.next_chunk);
                self.next_chunk += 1;
                let chunk = vec![Bytes::from(number.to_string())];
                if self.store.push_chunks(now, &worker(n), &job, chunk) == Verdict::Accepted {
                    self.posted.entry(job).or_default().push(number);
                }
            }
            Step::Finish {
                worker: n,
                job,
                fails,
            } => {
                let error = fails.then(|| Bytes::from("\"no\""));
                let result = PostedResult {
                    output: Some(Bytes::from("1")),
                    error,
                    ..PostedResult::default()
                };
                self.store.finish(now, &worker(n), &self.job(job), result);
            }
            Step::Ping { worker: n, job } => {
                let job = self.job(job);
                self.store.ping(now, &worker(n), &[job], None);
            }
            Step::Cancel(job) => drop(self.store.cancel(now, &self.job(job))),
            Step::Retry(job) => {
                let job = self.job(job);
                if self.store.retry(now, &job).is_ok() {
                    self.finals.remove(&job);
                    self.posted.remove(&job);
                    self.read.remove(&job);
                    self.pages.retain(|(id, _)| *id != job);
                }
            }
            Step::Purge => drop(self.store.purge(now)),
            Step::Read(job) => self.read(&self.job(job)),
            Step::ReaderGone(index) => {
                if let Some((job, chunks)) = pick(&mut self.pages, index) {
                    let numbers: BTreeSet<u32> = numbers(&chunks).collect();
                    self.read
                        .entry(JobId::clone(&job))
                        .or_default()
                        .retain(|read| !numbers.contains(read));
                    self.store.put_back_chunks(&job, chunks);
                }
            }
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
        }
        self.store.advance(self.now);
        self.note_events();
    }

    fn read(&mut self, job: &JobId) {
        if let Some(page) = self.store.read_chunks(self.now, job) {
            self.read
                .entry(JobId::clone(job))
                .or_default()
                .extend(numbers(&page.chunks));
            self.pages.push((JobId::clone(job), page.chunks));
        }
    }

    fn note_events(&mut self) {
        for event in self.store.events() {
            if let Event::Webhook(view) = event {
                assert!(view.status.is_final());
                *self.webhooks.entry(view.id).or_default() += 1;
            }
        }
    }

    fn check(&mut self) {
        let store = &self.store;
        let queued: Vec<JobId> = store.queue.ids();
        let unique: BTreeSet<&JobId> = queued.iter().collect();
        assert_eq!(unique.len(), queued.len(), "a job is in the queue twice");
        let mut running = 0;
        for id in &self.jobs {
            let job = store.jobs.get(id).expect("no job is lost");
            assert_eq!(
                unique.contains(id),
                matches!(job.phase, Phase::Queued(_)),
                "{id} is in two places"
            );
            running += usize::from(matches!(job.phase, Phase::Running { .. }));
            for (holder, entry) in store.workers.present(self.now) {
                assert!(
                    !entry.held.contains(id) || job.is_held_by(holder),
                    "{holder} holds {id} no more"
                );
            }
            let status = job.status();
            if let Some(known) = self.finals.get(id) {
                assert_eq!(*known, status, "a final state changed");
            } else if status.is_final() {
                self.finals.insert(JobId::clone(id), status);
                *self.ended.entry(JobId::clone(id)).or_default() += 1;
            }
        }
        assert_eq!(store.jobs.len(), self.jobs.len());
        assert_eq!(store.index.running(), running);
        assert_eq!(
            store.index.bytes(),
            store.jobs.values().map(Job::bytes).sum::<usize>()
        );
        let soonest = store.jobs.values().map(|job| job.due(&store.settings).0).min();
        assert_eq!(store.next_deadline(), soonest);
    }

    /// Reads what is left: all chunks have been read once, in order.
    fn drain_streams(&mut self) {
        for id in self.jobs.clone() {
            self.read(&id);
            let posted = self.posted.remove(&id).unwrap_or_default();
            let mut read = self.read.remove(&id).unwrap_or_default();
            // Chunks given back by a reader that was gone are read later than younger ones.
            read.sort_unstable();
            assert_eq!(read, posted);
        }
    }

    /// Works off everything that is not final: nothing is stuck.
    fn work_off(&mut self) {
        for _ in 0..4 {
            self.now += Duration::from_mins(1);
            while let [lease] = &self.store.take(self.now, &worker(9), 1)[..] {
                let result = PostedResult {
                    output: Some(Bytes::from("1")),
                    ..PostedResult::default()
                };
                assert_eq!(
                    self.store.finish(self.now, &worker(9), &lease.id, result),
                    Verdict::Accepted
                );
            }
        }
        self.note_events();
        self.check();
        for (id, job) in &self.store.jobs {
            assert!(job.status().is_final(), "{id} is stuck");
            let due = if job.request.webhook.is_some() {
                self.ended[id]
            } else {
                0
            };
            assert_eq!(
                self.webhooks.get(id).copied().unwrap_or(0),
                due,
                "webhooks of {id}"
            );
        }
    }
}

fn pick<T>(all: &mut Vec<T>, index: usize) -> Option<T> {
    (!all.is_empty()).then(|| all.swap_remove(index % all.len()))
}

fn numbers(chunks: &TakenChunks) -> impl Iterator<Item = u32> {
    chunks
        .values()
        .map(|chunk| std::str::from_utf8(chunk).unwrap().parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_job_and_no_chunk_is_lost_or_doubled(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.act(step);
            world.check();
        }
        world.drain_streams();
        world.work_off();
    }

    #[test]
    fn time_passing_at_once_or_bit_by_bit_comes_to_the_same(
        steps in steps(),
        pauses in prop::collection::vec(0..50_u64, 1..10),
    ) {
        let mut world = World::new();
        for step in steps {
            world.act(step);
        }
        let mut bit_by_bit = world.store.clone();
        let mut now = world.now;
        for pause in pauses {
            now += Duration::from_secs(pause);
            bit_by_bit.advance(now);
        }
        world.store.advance(now);
        let states = |store: &Store| -> BTreeMap<JobId, (JobStatus, u32, Option<Duration>)> {
            let state = |job: &Job| (job.status(), job.retries, job.execution);
            store.jobs.iter().map(|(id, job)| (JobId::clone(id), state(job))).collect()
        };
        prop_assert_eq!(states(&world.store), states(&bit_by_bit));
    }

    #[test]
    fn payloads_stay_within_the_endpoints_bound(steps in steps()) {
        let mut world = World::new();
        world.store.settings = EndpointSettings::default().max_jobs(5).max_bytes(100);
        for step in steps {
            match step {
                Step::Submit { .. } => {
                    let id: JobId = format!("j{}", world.jobs.len()).into();
                    let accepted = world.store.submit(world.now, &id, Origin::Run, request(false)).is_ok();
                    if accepted {
                        world.jobs.push(id);
                        prop_assert!(world.store.index.bytes() <= 100);
                    }
                }
                other => world.act(other),
            }
            prop_assert!(world.store.jobs.len() <= 5);
        }
    }
}
