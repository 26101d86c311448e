//! The automatic checks of a deployed worker.

use super::{CheckEnvironment, FitnessCheck, disk, memory, network};

/// The automatic checks of a worker.
#[derive(Debug, Default)]
pub(crate) struct Automatic {
    /// The checks that must pass before the first take.
    pub(crate) before: Vec<FitnessCheck>,
    /// The check that runs beside the first take.
    pub(crate) beside: Option<FitnessCheck>,
}

/// The automatic checks to make. `wanted` is the setting of the worker. Without it they are made on a `deployed` worker:
/// one whose platform is on another machine.
pub(crate) fn automatic(wanted: Option<bool>, deployed: bool, environment: &CheckEnvironment) -> Automatic {
    if environment.skip_automatic || !wanted.unwrap_or(deployed) {
        return Automatic::default();
    }
    let network = environment
        .network_targets
        .iter()
        .fold(network(), super::Network::target);
    let [health, cuda] = of_the_gpu(environment);
    let before = [
        health,
        Some(FitnessCheck::new("_memory_check", memory())),
        Some(FitnessCheck::new("_disk_check", disk())),
        cuda,
    ];
    Automatic {
        before: before.into_iter().flatten().collect(),
        beside: Some(FitnessCheck::new("_network_check", network)),
    }
}

#[cfg(feature = "gpu")]
fn of_the_gpu(environment: &CheckEnvironment) -> [Option<FitnessCheck>; 2] {
    let health = (!environment.skip_gpu)
        .then(|| FitnessCheck::new("_gpu_health_check", super::gpu().any_cuda_version()));
    [
        health,
        Some(FitnessCheck::new("_cuda_version_check", super::gpu())),
    ]
}

#[cfg(not(feature = "gpu"))]
fn of_the_gpu(_: &CheckEnvironment) -> [Option<FitnessCheck>; 2] {
    [None, None]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(on: &[&str]) -> CheckEnvironment {
        CheckEnvironment::new(|name| on.contains(&name).then(|| "true".to_owned()), None, &[])
    }

    fn names(wanted: Option<bool>, deployed: bool, skip: &[&str]) -> Vec<String> {
        let automatic = automatic(wanted, deployed, &environment(skip));
        let all = automatic.before.into_iter().chain(automatic.beside);
        all.map(|check| check.name)
            .filter(|name| !name.contains("gpu") && !name.contains("cuda"))
            .collect()
    }

    const ALL: [&str; 3] = ["_memory_check", "_disk_check", "_network_check"];

    #[test]
    fn a_deployed_worker_makes_them_and_a_laptop_does_not() {
        assert_eq!(names(None, true, &[]), ALL);
        assert!(names(None, false, &[]).is_empty());
    }

    #[test]
    fn the_worker_may_say_otherwise_and_pythons_switch_beats_it() {
        assert_eq!(names(Some(true), false, &[]), ALL);
        assert!(names(Some(false), true, &[]).is_empty());
        assert!(names(Some(true), true, &["RUNPOD_SKIP_AUTO_SYSTEM_CHECKS"]).is_empty());
    }

    #[tokio::test]
    async fn the_environment_says_what_the_network_check_connects_to() {
        let environment = std::sync::Arc::new(CheckEnvironment {
            network_targets: vec!["no port".to_owned()],
            ..CheckEnvironment::default()
        });
        let check = automatic(None, true, &environment).beside.unwrap();
        let limit = std::time::Duration::from_secs(30);
        let unfit = super::super::run_one(check, environment, limit).await;
        let reason = unfit.unwrap_err().reason;
        assert!(reason.contains("no port: invalid"), "{reason}");
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn the_gpu_check_can_be_left_out_alone() {
        let count = |skip: &str| {
            automatic(None, true, &environment(&[skip]))
                .before
                .iter()
                .filter(|check| check.name == "_gpu_health_check")
                .count()
        };
        assert_eq!((count("NOTHING"), count("RUNPOD_SKIP_GPU_CHECK")), (1, 0));
    }
}
