//! Orphans are reaped, and children are left to the program that has started them. A program of its own, because it
//! takes over the orphans of the whole process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use runpod_child::{ChildBuilder, Inheritance, hide_own_environment, reap_orphans};

/// The rights to read any process, as `/proc/<pid>/status` has them: `CAP_SYS_PTRACE`, `CAP_SYS_ADMIN`, `CAP_PERFMON`.
const MAY_READ_ANY: u64 = 1 << 19 | 1 << 21 | 1 << 38;

/// The process of an orphan that has been alive: its parent says so before it ends.
fn orphan(script: &str) -> (u32, i32) {
    let mut builder = ChildBuilder::new("sh", &Inheritance::usual());
    builder.arguments(["-c", script]).stdout(Stdio::piped());
    let mut child = builder.spawn().unwrap();
    let mut text = String::new();
    child.stdout().unwrap().read_to_string(&mut text).unwrap();
    let status = child.reap().unwrap();
    (text.trim().parse().unwrap(), status.code().unwrap())
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn orphans_are_reaped_and_children_keep_their_status() {
    reap_orphans().unwrap();
    for code in 0..20 {
        // It leaves the group, closes the pipe, and ends after its parent.
        let script = format!("setsid sh -c 'exec >/dev/null; sleep 0.05' & echo $!; exit {code}");
        let (process, status) = orphan(&script);
        assert_eq!(status, code);
        let entry = PathBuf::from(format!("/proc/{process}"));
        until("the orphan is not reaped", || !entry.exists());
    }
    // Nothing that has ended is left over.
    let own = std::process::id();
    until("a zombie is left", || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries
            .map(|entry| std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default())
            .all(|stat| {
                !stat
                    .rsplit_once(')')
                    .is_some_and(|(_, rest)| rest.starts_with(&format!(" Z {own} ")))
            })
    });
}

#[test]
fn a_child_cannot_read_the_environment_of_its_parent() {
    const NAME: &str = "a_child_cannot_read_the_environment_of_its_parent";
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = own.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    if u64::from_str_radix(capabilities.trim(), 16).unwrap() & MAY_READ_ANY != 0 {
        // Root may read every process outside of containers: the test runs once more, without those rights.
        let without = "-sys_ptrace,-sys_admin,-perfmon";
        let mut builder = ChildBuilder::new("setpriv", &Inheritance::usual());
        builder
            .arguments([
                format!("--bounding-set={without}"),
                format!("--inh-caps={without}"),
            ])
            .arguments([std::env::current_exe().unwrap().as_os_str()])
            .arguments(["--exact", NAME]);
        assert!(builder.spawn().unwrap().reap().unwrap().success());
        return;
    }
    let read = || {
        let mut builder = ChildBuilder::new("sh", &Inheritance::usual());
        let script = "cat /proc/$PPID/environ 2>/dev/null | wc -c";
        builder.arguments(["-c", script]).stdout(Stdio::piped());
        let mut child = builder.spawn().unwrap();
        let mut text = String::new();
        child.stdout().unwrap().read_to_string(&mut text).unwrap();
        child.reap().unwrap();
        text.trim().parse::<usize>().unwrap()
    };
    assert_ne!(read(), 0, "before");
    hide_own_environment().unwrap();
    assert_eq!(read(), 0);
}
