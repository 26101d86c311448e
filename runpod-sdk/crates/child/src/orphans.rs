//! Reaps processes whose parent has ended.
//!
//! The system gives an orphan to process 1, or to the nearest ancestor that has asked for orphans. One that ends and is
//! not reaped stays as a zombie and keeps its process id. In a container process 1 is often the worker itself, and what a
//! WebUI leaves behind when it dies is the worker's to reap.

use std::io;

/// Takes over the orphans among the descendants of this process, and reaps each when it ends, on a thread of its own,
/// for as long as this process runs. Children of [`ChildBuilder`](crate::ChildBuilder) are left alone.
///
/// A program that calls this starts all its children with [`ChildBuilder`](crate::ChildBuilder): any other child would be
/// reaped here, and its status lost. On systems other than Linux this does nothing.
///
/// # Errors
///
/// The system has no room for a thread, or no signals can be received.
#[cfg(target_os = "linux")]
pub fn reap_orphans() -> io::Result<()> {
    linux::reap_orphans()
}

/// Does nothing on this system.
///
/// # Errors
///
/// None.
#[cfg(not(target_os = "linux"))]
pub fn reap_orphans() -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, io, thread};

    use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
    use tokio::signal::unix::{SignalKind, signal};

    use crate::registry;

    pub(super) fn reap_orphans() -> io::Result<()> {
        // Process 1 gets them in any case.
        set_child_subreaper(Some(getpid()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let mut ends = {
            let _inside = runtime.enter();
            signal(SignalKind::child())?
        };
        thread::Builder::new().name("orphans".to_owned()).spawn(move || {
            // Those that ended before the signal was listened for.
            reap_all();
            runtime.block_on(async {
                // Several ends may come as one signal.
                while ends.recv().await.is_some() {
                    reap_all();
                }
            });
        })?;
        Ok(())
    }

    /// Reaps each process that has ended, was given to this one, and was not started by it.
    fn reap_all() {
        let own = getpid().as_raw_nonzero().get();
        registry::with_children(|is_child| {
            let Ok(entries) = fs::read_dir("/proc") else {
                return;
            };
            let processes = entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
            for process in processes.filter(|process| !is_child(*process)) {
                let is_zombie = fs::read_to_string(format!("/proc/{process}/stat"))
                    .is_ok_and(|stat| is_zombie_of(own, &stat));
                if is_zombie && let Some(process) = Pid::from_raw(process) {
                    // No parent asks for the status of an orphan.
                    let _ = waitpid(Some(process), WaitOptions::NOHANG);
                }
            }
        });
    }

    /// Whether a line of `/proc/<pid>/stat` is that of a zombie with this parent. The name in parentheses may hold
    /// anything, parentheses too.
    fn is_zombie_of(parent: i32, stat: &str) -> bool {
        let Some((_, rest)) = stat.rsplit_once(')') else {
            return false;
        };
        let mut fields = rest.split_whitespace();
        fields.next() == Some("Z") && fields.next().and_then(|field| field.parse().ok()) == Some(parent)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_zombie_is_known_whatever_it_is_called() {
            assert!(is_zombie_of(3, "7 (a ) S 1 2) Z 3 4 5"));
            assert!(!is_zombie_of(3, "7 (a) S 3 4 5"));
            assert!(!is_zombie_of(3, "7 (a) Z 4 3 5"));
            assert!(!is_zombie_of(3, ""));
        }
    }
}
