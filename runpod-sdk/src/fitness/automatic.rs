//! The checks that nobody has to ask for.

use super::{FitnessCheck, Surroundings, disk, memory, network};
use crate::config::Template;

/// The automatic checks of a worker.
#[derive(Debug, Default)]
pub(crate) struct Automatic {
    /// Those that must pass before the first take.
    pub(crate) before: Vec<FitnessCheck>,
    /// The one that a first take need not wait for.
    pub(crate) beside: Option<FitnessCheck>,
}

/// Which checks are made. `wanted` is what the worker says, if it says anything.
pub(crate) fn automatic(wanted: Option<bool>, surroundings: &Surroundings, take: &Template) -> Automatic {
    // Where the platform is on this machine, the machine is a laptop or runs tests.
    let deployed = !take.is_loopback();
    if surroundings.skip_automatic || !wanted.unwrap_or(deployed) {
        return Automatic::default();
    }
    let disk = surroundings.disk_paths.iter().fold(disk(), super::Disk::path);
    let network = surroundings
        .network_targets
        .iter()
        .fold(network(), super::Network::target);
    let [health, cuda] = of_the_gpu(surroundings);
    let before = [
        health,
        Some(FitnessCheck::new("_memory_check", memory())),
        Some(FitnessCheck::new("_disk_check", disk)),
        cuda,
    ];
    Automatic {
        before: before.into_iter().flatten().collect(),
        beside: Some(FitnessCheck::new("_network_check", network)),
    }
}

#[cfg(feature = "gpu")]
fn of_the_gpu(surroundings: &Surroundings) -> [Option<FitnessCheck>; 2] {
    let health = (!surroundings.skip_gpu)
        .then(|| FitnessCheck::new("_gpu_health_check", super::gpu().any_cuda_version()));
    [
        health,
        Some(FitnessCheck::new("_cuda_version_check", super::gpu())),
    ]
}

#[cfg(not(feature = "gpu"))]
fn of_the_gpu(_: &Surroundings) -> [Option<FitnessCheck>; 2] {
    [None, None]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYED: &str = "https://api.runpod.ai/v2/ep/job-take/$ID?gpu=A";
    const LOCAL: &str = "http://127.0.0.1:8000/v2/ep/job-take/$ID";

    fn names(wanted: Option<bool>, take: &str, skip: &[&str]) -> Vec<String> {
        let take = Template::parse(take).unwrap();
        let lookup = |name: &str| skip.contains(&name).then(|| "true".to_owned());
        let automatic = automatic(wanted, &Surroundings::new(lookup, &take), &take);
        let all = automatic.before.into_iter().chain(automatic.beside);
        all.map(|check| check.name)
            .filter(|name| !name.contains("gpu") && !name.contains("cuda"))
            .collect()
    }

    const ALL: [&str; 3] = ["_memory_check", "_disk_check", "_network_check"];

    #[test]
    fn a_deployed_worker_makes_them_and_a_laptop_does_not() {
        assert_eq!(names(None, DEPLOYED, &[]), ALL);
        for local in [
            LOCAL,
            "http://localhost:80/job-take/$ID",
            "http://[::1]:80/job-take/$ID",
        ] {
            assert!(names(None, local, &[]).is_empty(), "{local}");
        }
    }

    #[test]
    fn the_worker_may_say_otherwise_and_pythons_switch_beats_it() {
        assert_eq!(names(Some(true), LOCAL, &[]), ALL);
        assert!(names(Some(false), DEPLOYED, &[]).is_empty());
        assert!(names(Some(true), DEPLOYED, &["RUNPOD_SKIP_AUTO_SYSTEM_CHECKS"]).is_empty());
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn the_gpu_check_can_be_left_out_alone() {
        let take = Template::parse(DEPLOYED).unwrap();
        let count = |skip: &str| {
            let lookup = |name: &str| (name == skip).then(|| "true".to_owned());
            automatic(None, &Surroundings::new(lookup, &take), &take)
                .before
                .iter()
                .filter(|check| check.name == "_gpu_health_check")
                .count()
        };
        assert_eq!((count("NOTHING"), count("RUNPOD_SKIP_GPU_CHECK")), (1, 0));
    }
}
