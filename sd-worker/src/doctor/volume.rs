//! Checks the network volume and the folder for temporary files.

use std::path::Path;

use runpod_sdk::fitness::GIB;

use super::finding::{Finding, Section, gib};

/// The path at which RunPod mounts an endpoint's network volume.
pub(super) const VOLUME: &str = "/runpod-volume";
/// Free space below this is soon used up by pictures, caches and models.
const TIGHT: u64 = 2 * GIB;

pub(super) fn look(volume: &Path, scratch: &Path) -> Section {
    let mut findings = vec![if volume.is_dir() {
        writable("the network volume", volume)
    } else {
        Finding::note(format!(
            "no network volume at {}: models have to be in the image",
            volume.display()
        ))
    }];
    findings.push(writable("the folder for temporary files", scratch));
    Section {
        title: "Disks",
        findings,
    }
}

/// Writes and removes a file, and measures the free space.
fn writable(name: &str, folder: &Path) -> Finding {
    let shown = folder.display();
    let probe = folder.join(format!(".sd-worker-doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, b"probe");
    let removed = written.and_then(|()| std::fs::remove_file(&probe));
    if let Err(error) = removed {
        return Finding::failure(
            format!("{name}, {shown}, can't be written to: {error}"),
            "mount it with write access for the user the worker runs as, or make room",
        );
    }
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let text = format!("{name}, {shown}, can be written to; {:.1} GiB free", gib(free));
            if free < TIGHT {
                Finding::warning(text, "make room, or take a larger disk")
            } else {
                Finding::good(text)
            }
        }
        Err(error) => Finding::note(format!(
            "{name}, {shown}, can be written to; its size is unknown: {error}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_missing_volume_is_no_fault_and_a_missing_scratch_folder_is() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("nowhere");
        let found = look(&nowhere, &nowhere).findings;
        assert_eq!(
            (found[0].verdict, found[1].verdict),
            (Verdict::Note, Verdict::Failure)
        );
        let found = look(folder.path(), folder.path()).findings;
        assert!(
            found.iter().all(|finding| finding.verdict != Verdict::Failure),
            "{found:?}"
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            0,
            "the probe is gone"
        );
    }
}
