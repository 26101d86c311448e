//! The checks that nobody has to ask for.

use std::path::PathBuf;

use super::{FitnessCheck, Surroundings, disk, memory, network};

/// The automatic checks of a worker.
#[derive(Debug, Default)]
pub(crate) struct Automatic {
    /// Those that must pass before the first take.
    pub(crate) before: Vec<FitnessCheck>,
    /// The one that a first take need not wait for.
    pub(crate) beside: Option<FitnessCheck>,
}

/// What a worker says about its automatic checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AutomaticOptions {
    /// Whether they are made; `None`: wherever the platform is another machine.
    pub(crate) wanted: Option<bool>,
    /// What the disk check looks at; if empty, `/`.
    pub(crate) disk_paths: Vec<PathBuf>,
    /// What the network check connects to beside the platform; if empty, what Python's connects to.
    pub(crate) network_targets: Vec<String>,
}

impl AutomaticOptions {
    /// Applies the variables. Adds a line for each that cannot be read.
    pub(crate) fn override_from(
        &mut self,
        lookup: impl Fn(&str) -> Option<String>,
        problems: &mut Vec<String>,
    ) {
        let name = "RUNPOD_WORKER_AUTOMATIC_CHECKS";
        if let Some(text) = lookup(name).filter(|text| !text.is_empty()) {
            match text.to_ascii_lowercase().parse() {
                Ok(value) => self.wanted = Some(value),
                Err(_) => problems.push(format!("{name}={text}: write true or false")),
            }
        }
        let list = |name: &str| -> Vec<String> {
            let text = lookup(name).unwrap_or_default();
            let items = text.split(',').map(|item| item.trim().to_owned());
            items.filter(|item| !item.is_empty()).collect()
        };
        let paths = list("RUNPOD_WORKER_DISK_PATHS");
        if !paths.is_empty() {
            self.disk_paths = paths.into_iter().map(PathBuf::from).collect();
        }
        let targets = list("RUNPOD_WORKER_NETWORK_TARGETS");
        if !targets.is_empty() {
            self.network_targets = targets;
        }
    }
}

/// Which checks are made. A worker is `deployed` where the platform is not on this machine: such a machine is a
/// laptop or runs tests.
pub(crate) fn automatic(
    options: &AutomaticOptions,
    deployed: bool,
    surroundings: &Surroundings,
) -> Automatic {
    if surroundings.skip_automatic || !options.wanted.unwrap_or(deployed) {
        return Automatic::default();
    }
    let disk = options.disk_paths.iter().fold(disk(), super::Disk::path);
    let network = options
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

    fn surroundings(on: &[&str]) -> Surroundings {
        Surroundings::new(|name| on.contains(&name).then(|| "true".to_owned()), None)
    }

    fn names(wanted: Option<bool>, deployed: bool, skip: &[&str]) -> Vec<String> {
        let options = AutomaticOptions {
            wanted,
            ..AutomaticOptions::default()
        };
        let automatic = automatic(&options, deployed, &surroundings(skip));
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
    async fn the_worker_says_what_is_looked_at_and_the_environment_has_the_last_word() {
        let options = || AutomaticOptions {
            wanted: Some(true),
            disk_paths: vec!["/not/there".into()],
            network_targets: vec!["said by the worker".into()],
        };
        let complaint = async |options: &AutomaticOptions, name: &str| {
            let surroundings = std::sync::Arc::new(surroundings(&[]));
            let automatic = automatic(options, true, &surroundings);
            let mut all = automatic.before.into_iter().chain(automatic.beside);
            let check = all.find(|check| check.name == name).unwrap();
            let limit = std::time::Duration::from_secs(30);
            super::super::run_one(check, surroundings, limit)
                .await
                .unwrap_err()
                .reason
        };
        let reason = complaint(&options(), "_disk_check").await;
        assert!(reason.contains("free space of /not/there"), "{reason}");
        let reason = complaint(&options(), "_network_check").await;
        assert!(reason.contains("said by the worker: invalid"), "{reason}");

        let mut overridden = options();
        let mut problems = Vec::new();
        let lookup = |name: &str| match name {
            "RUNPOD_WORKER_DISK_PATHS" => Some("/nor/here, /nor/there,".to_owned()),
            "RUNPOD_WORKER_NETWORK_TARGETS" => Some(" ".to_owned()),
            _ => None,
        };
        overridden.override_from(lookup, &mut problems);
        assert!(problems.is_empty());
        assert_eq!(
            overridden.disk_paths,
            ["/nor/here", "/nor/there"].map(PathBuf::from)
        );
        assert_eq!(
            overridden.network_targets,
            options().network_targets,
            "an empty list says nothing"
        );
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn the_gpu_check_can_be_left_out_alone() {
        let count = |skip: &str| {
            automatic(&AutomaticOptions::default(), true, &surroundings(&[skip]))
                .before
                .iter()
                .filter(|check| check.name == "_gpu_health_check")
                .count()
        };
        assert_eq!((count("NOTHING"), count("RUNPOD_SKIP_GPU_CHECK")), (1, 0));
    }
}
