//! Checks process 1 of the container. A shell there keeps SIGTERM to itself, and a worker that does not hear of its end
//! loses its jobs.

use std::path::Path;

use super::finding::Finding;

const SHELLS: [&str; 8] = ["ash", "bash", "busybox", "dash", "fish", "ksh", "sh", "zsh"];
/// Longer command lines are cut.
const SHOWN: usize = 100;

/// A finding if process 1 is a shell. `proc` is where the system shows its processes.
pub(super) fn shell(proc: &Path) -> Option<Finding> {
    let name = std::fs::read_to_string(proc.join("1/comm")).ok()?;
    let name = name.trim();
    if !SHELLS.contains(&name) {
        return None;
    }
    let line = std::fs::read(proc.join("1/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let line: String = line.trim().chars().take(SHOWN).collect();
    let shown = if line.is_empty() { name.to_owned() } else { line };
    Some(Finding::warning(
        format!(
            "process 1 is a shell ({shown}): it does not pass on the signal with which the platform stops a worker"
        ),
        "start the worker with `exec sd-worker …` as the script's last line, or without a script",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_as_process_1_is_named_and_another_program_is_not() {
        let proc = tempfile::tempdir().unwrap();
        assert_eq!(shell(proc.path()), None, "nothing can be seen");
        std::fs::create_dir(proc.path().join("1")).unwrap();
        let start = |comm: &str, line: &str| {
            std::fs::write(proc.path().join("1/comm"), comm).unwrap();
            std::fs::write(proc.path().join("1/cmdline"), line).unwrap();
            shell(proc.path())
        };
        assert_eq!(start("sd-worker\n", "/usr/bin/sd-worker\0"), None);
        assert_eq!(start("tini\n", "tini\0--\0/start.sh\0"), None);
        let found = start("bash\n", "bash\0/start.sh\0").unwrap();
        assert!(found.what.contains("bash /start.sh"), "{found:?}");
        assert!(found.fix.unwrap().contains("exec sd-worker"));
    }
}
