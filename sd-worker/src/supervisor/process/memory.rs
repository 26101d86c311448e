//! Reads the memory of a process group from `/proc`.

use std::fs;

/// The bytes of RAM that the processes of `group` and their children hold. Shared memory counts once for each process.
pub(super) fn resident(group: i32) -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0;
    };
    let all: Vec<ProcessStat> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| ProcessStat::read(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect();
    let ours = belonging(&all, group);
    let kilobytes = ours.iter().filter_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        resident_of(&status)
    });
    kilobytes.sum::<u64>() * 1024
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProcessStat {
    pid: i32,
    parent: i32,
    group: i32,
}

impl ProcessStat {
    /// From `/proc/<pid>/stat`. The name in parentheses may hold anything, parentheses too.
    fn read(pid: i32, stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace().skip(1);
        Some(Self {
            pid,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    }
}

/// The members of the group and all their descendants. A daemon has left the group.
fn belonging(all: &[ProcessStat], group: i32) -> Vec<i32> {
    let mut ours: Vec<i32> = all
        .iter()
        .filter(|found| found.group == group)
        .map(|found| found.pid)
        .collect();
    let mut looked_at = 0;
    while let Some(&parent) = ours.get(looked_at) {
        let children = all
            .iter()
            .filter(|found| found.parent == parent)
            .map(|found| found.pid);
        let new: Vec<i32> = children.filter(|pid| !ours.contains(pid)).collect();
        ours.extend(new);
        looked_at += 1;
    }
    ours
}

/// `VmRSS:    3344 kB`.
fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let found = ProcessStat::read(7, "7 (a ) R 1 2) S 3 4 5 0 -1");
        assert_eq!(
            found,
            Some(ProcessStat {
                pid: 7,
                parent: 3,
                group: 4
            })
        );
    }

    #[test]
    fn children_that_left_the_group_still_count() {
        let found = |pid, parent, group| ProcessStat { pid, parent, group };
        let all = [
            found(1, 0, 1),
            found(10, 1, 10),
            found(11, 10, 10),
            found(12, 11, 12),
            found(20, 1, 20),
        ];
        assert_eq!(belonging(&all, 10), [10, 11, 12]);
    }

    #[test]
    fn this_process_uses_memory() {
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        assert!(resident(group) > 100_000);
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t    3344 kB\n"), Some(3344));
    }
}
