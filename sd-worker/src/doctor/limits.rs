//! Checks the limits and the first process of the system, and states the platform's limits.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::finding::{Finding, Section};
use super::init;

/// Enough open files: a worker needs a few dozen, a WebUI with its models a few hundred.
const FEW_FILES: u64 = 1024;

pub(super) fn look() -> Section {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut findings = vec![
        open_files(getrlimit(Resource::Nofile).current),
        Finding::note(format!("{cores} core(s)")),
        Finding::note(
            "the platform takes results of up to 10 MB (/run) and 20 MB (/runsync), and keeps them for 30 and 1 minutes",
        ),
    ];
    findings.extend(init::shell(Path::new("/proc")));
    Section {
        title: "Limits",
        findings,
    }
}

fn open_files(limit: Option<u64>) -> Finding {
    match limit {
        None => Finding::good("any number of open files"),
        Some(limit) if limit < FEW_FILES => Finding::warning(
            format!("at most {limit} open files"),
            format!("start the container with `ulimit -n {FEW_FILES}` or more"),
        ),
        Some(limit) => Finding::good(format!("at most {limit} open files")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_low_limit_of_open_files_is_named() {
        assert_eq!(open_files(Some(256)).verdict, Verdict::Warning);
        assert_eq!(open_files(Some(1024)).verdict, Verdict::Good);
        assert_eq!(open_files(None).verdict, Verdict::Good);
    }
}
