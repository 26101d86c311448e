//! Random runs of processes that end at any step of the disk. A result that was reported as stored is found again, and
//! a job never gets two different results.

use runpod_protocol::sync::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::memory_disk::{DiskFault, MemoryDisk, Volume};
use super::{body, report};
use crate::job::JobId;
use crate::journal::health::DiskHealth;
use crate::journal::store::{JobHistory, Store, WriteOutcome};
use crate::settings::Journal;

/// The test's knowledge of a job that is not settled.
#[derive(Debug, Default, Clone)]
struct Known {
    /// The results that were written since the job was last settled.
    tried: BTreeSet<String>,
    /// Whether a write was reported as stored.
    acknowledged: bool,
    /// The result that was read back.
    seen: Option<String>,
    /// Whether a removal began, which a crash may have interrupted.
    maybe_settled: bool,
}

impl Known {
    fn read(&mut self, found: &str) {
        assert!(
            self.tried.contains(found),
            "{found} was never a result of this job"
        );
        if let Some(seen) = &self.seen {
            assert_eq!(seen, found, "another result than before");
        }
        self.seen = Some(found.to_owned());
    }
}

fn open(disk: &MemoryDisk) -> Option<Store> {
    let health = DiskHealth::new("/journal".into());
    Store::open(Journal::at("/journal").crashes(0), Arc::new(disk.clone()), health).ok()
}

/// The result that `begin` finds while the process is alive.
fn look(store: &Store, disk: &MemoryDisk, job: &JobId, known: &mut Known) {
    let begun = store.begin(job);
    if disk.is_dead() {
        return;
    }
    match begun {
        JobHistory::Stored(found) => known.read(&body(&found)),
        JobHistory::Run => {
            assert!(
                !known.acknowledged || known.maybe_settled,
                "{job}: a stored result is lost"
            );
            *known = Known::default();
        }
        JobHistory::Poisonous(_) => unreachable!("crashes are not counted here"),
    }
}

fn live(
    random: &mut fastrand::Rng,
    volume: &Arc<Mutex<Volume>>,
    life: u32,
    world: &mut BTreeMap<String, Known>,
) {
    let disk = MemoryDisk::new(life, volume, DiskFault::DieAt(random.usize(5..120)));
    let disk = if random.bool() { disk.without_locks() } else { disk };
    let Some(store) = open(&disk) else {
        disk.die();
        return;
    };
    let mut running = BTreeSet::new();
    for step in 0..30 {
        if disk.is_dead() {
            break;
        }
        let name = format!("j{}", random.u8(0..4));
        let job = JobId::from(name.as_str());
        let known = world.entry(name.clone()).or_default();
        match random.u8(0..4) {
            // The job is taken, runs, and its result is stored.
            0 | 1 if !running.contains(&name) => {
                look(&store, &disk, &job, known);
                if disk.is_dead() || known.seen.is_some() {
                    continue;
                }
                let result = report(&format!("{name} in life {life} step {step}"));
                known.tried.insert(body(&result));
                if matches!(store.write(&job, &result, &|| true), Ok(WriteOutcome::Stored)) {
                    known.acknowledged = true;
                    running.insert(name);
                }
            }
            // The result is delivered.
            2 if running.contains(&name) => {
                known.maybe_settled = true;
                store.settle(&crate::journal::name::JobKey::of(&job));
                if !disk.is_dead() {
                    *known = Known::default();
                }
                running.remove(&name);
            }
            // Leftovers of earlier runs are delivered, or put back.
            _ => {
                let busy = |key: &crate::journal::name::JobKey| running.contains(&key.to_string());
                for leftover in store.leftovers(&busy).unwrap_or_default() {
                    let Some(entry) = store.adopt(&leftover) else {
                        continue;
                    };
                    let known = world.entry(entry.job.to_string()).or_default();
                    known.read(&body(&entry.report));
                    match random.u8(0..4) {
                        // It may still answer its job.
                        0 => store.delivered(&leftover.key),
                        1 => {
                            known.maybe_settled = true;
                            store.settle(&leftover.key);
                            if !disk.is_dead() {
                                *known = Known::default();
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    if random.u8(0..4) == 0 && !disk.is_dead() {
        store.close();
    }
    disk.die();
    let mut volume = volume.lock();
    if random.bool() {
        volume.cut_power(random);
    }
    volume.pass(Duration::from_mins(2));
}

fn lives(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let volume = Arc::<Mutex<Volume>>::default();
    // Results must not expire during the test.
    let mut world = BTreeMap::new();
    for life in 0..8 {
        live(&mut random, &volume, life, &mut world);
    }
    let disk = MemoryDisk::new(99, &volume, DiskFault::Nothing);
    let store = open(&disk).expect("nothing fails any more");
    for (name, known) in &mut world {
        look(&store, &disk, &name.as_str().into(), known);
    }
    assert!(
        volume.lock().names("unreadable").is_empty(),
        "a torn file was taken for a result"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_was_said_to_be_stored_is_found_again_and_never_becomes_another_result(seed: u64) {
        lives(seed);
    }
}

#[test]
fn a_result_is_lost_before_it_is_stored_or_never() {
    for last in 0..60 {
        for power in [false, true] {
            let volume = Arc::<Mutex<Volume>>::default();
            let disk = MemoryDisk::new(1, &volume, DiskFault::DieAt(last));
            let job = JobId::from("j");
            let stored = open(&disk).is_some_and(|store| {
                matches!(
                    store.write(&job, &report("kept"), &|| true),
                    Ok(WriteOutcome::Stored)
                )
            });
            disk.die();
            if power {
                volume
                    .lock()
                    .cut_power(&mut fastrand::Rng::with_seed(last as u64));
            }
            let next = open(&MemoryDisk::new(2, &volume, DiskFault::Nothing)).unwrap();
            let names = next.leftovers(&|_| false).unwrap();
            let found: Vec<String> = names
                .iter()
                .filter_map(|name| next.adopt(name))
                .map(|entry| body(&entry.report))
                .collect();
            match found.as_slice() {
                [] => assert!(!stored, "died at step {last}, power cut: {power}"),
                [found] => assert_eq!(found, r#"{"output": "kept"}"#),
                more => panic!("one job has {} results", more.len()),
            }
        }
    }
}
