//! The check of available memory: of the host, or within the limit of the container.

use std::io;
use std::path::{Path, PathBuf};

use super::check::BuiltIn;
use super::{Check, FitnessError, GIB, Work};

/// The default of the Python worker.
const DEFAULT: u64 = 4 * GIB;

/// Checks that enough memory is available; see [`memory`].
#[derive(Debug, Clone)]
pub struct Memory {
    min_available: Option<u64>,
    root: PathBuf,
}

/// Checks that enough memory is available: on the host (`MemAvailable`), and within every limit that a
/// control group (version 1 or 2) sets for this process. Memory that holds cached files counts as
/// available, because the kernel gives it back.
///
/// The requirement is 4 GiB, or half of the memory if that is less than 8 GiB, because a small container is small on
/// purpose. [`Memory::min_available`] and `RUNPOD_MIN_MEMORY_GB` are taken as they are.
pub fn memory() -> Memory {
    Memory {
        min_available: None,
        root: PathBuf::from("/"),
    }
}

impl Memory {
    /// The least available bytes. Overridden by `RUNPOD_MIN_MEMORY_GB`.
    #[must_use]
    pub fn min_available(mut self, bytes: u64) -> Self {
        self.min_available = Some(bytes);
        self
    }

    /// Where `/proc` and `/sys` are found, for tests. Default `/`.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    fn look(&self, asked: Option<u64>) -> Result<(), FitnessError> {
        let Room {
            available,
            capacity,
            bound_by,
        } = measure(&self.root)?;
        let needed = asked
            .or(self.min_available)
            .unwrap_or_else(|| DEFAULT.min(capacity / 2));
        if available < needed {
            return Err(FitnessError::Memory {
                available,
                needed,
                bound_by,
            });
        }
        tracing::debug!(available, needed, bound_by, "memory is fit");
        Ok(())
    }
}

impl Check<BuiltIn> for Memory {
    fn into_work(self) -> Work {
        Work::built_in(move |environment| std::future::ready(self.look(environment.min_memory)))
    }
}

/// The memory, and the source of its limit.
#[derive(Debug, PartialEq, Eq)]
struct Room {
    available: u64,
    capacity: u64,
    bound_by: String,
}

fn measure(root: &Path) -> Result<Room, FitnessError> {
    let file = root.join("proc/meminfo");
    let unreadable = |source| FitnessError::Unreadable {
        what: file.display().to_string(),
        source,
    };
    let text = std::fs::read_to_string(&file).map_err(unreadable)?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line
            .strip_prefix(':')?
            .trim()
            .trim_end_matches("kB")
            .trim_end()
            .parse()
            .ok()?;
        kib.checked_mul(1024)
    };
    let missing = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it names no MemAvailable and MemTotal",
        )
    };
    let (Some(available), Some(capacity)) = (field("MemAvailable"), field("MemTotal")) else {
        return Err(unreadable(missing()));
    };
    let mut found = Room {
        available,
        capacity,
        bound_by: "host".to_owned(),
    };
    for control in groups(root) {
        found.narrow(&control);
    }
    Ok(found)
}

impl Room {
    /// Applies the limit of one control group, if it leaves less.
    fn narrow(&mut self, group: &Group) {
        let number = |file: &str| -> Option<u64> {
            std::fs::read_to_string(group.folder.join(file))
                .ok()?
                .trim()
                .parse()
                .ok()
        };
        let (limit, usage, cached) = match group.version {
            2 => ("memory.max", "memory.current", "inactive_file "),
            _ => (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file ",
            ),
        };
        // `max`, or a number above all memory, is no limit.
        let Some(limit) = number(limit).filter(|limit| *limit < self.capacity) else {
            return;
        };
        self.capacity = limit;
        let stat = std::fs::read_to_string(group.folder.join("memory.stat")).unwrap_or_default();
        let cached = stat
            .lines()
            .find_map(|line| line.strip_prefix(cached)?.trim().parse::<u64>().ok())
            .unwrap_or(0);
        let used = number(usage).unwrap_or(0).saturating_sub(cached);
        let left = limit.saturating_sub(used);
        if left < self.available {
            self.available = left;
            self.bound_by = format!("limit of the container, control group v{}", group.version);
        }
    }
}

/// A control group of this process.
struct Group {
    version: u8,
    folder: PathBuf,
}

/// The control groups of this process and all around them: each may set a limit.
fn groups(root: &Path) -> Vec<Group> {
    let list = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for line in list.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (version, top) = if controllers.is_empty() {
            (2, root.join("sys/fs/cgroup"))
        } else if controllers.split(',').any(|name| name == "memory") {
            (1, root.join("sys/fs/cgroup/memory"))
        } else {
            continue;
        };
        // Within a container the path may be that of the host. A missing file is no limit.
        for part in Path::new(path.trim_start_matches('/')).ancestors() {
            groups.push(Group {
                version,
                folder: top.join(part),
            });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(meminfo: &str) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            tree.file("proc/meminfo", meminfo)
        }

        fn file(self, path: &str, text: &str) -> Self {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            self
        }

        fn room(&self) -> Room {
            measure(self.0.path()).unwrap()
        }

        fn check(&self, memory: Memory) -> Result<(), String> {
            memory
                .root(self.0.path())
                .look(None)
                .map_err(|error| error.to_string())
        }
    }

    const HOST: &str =
        "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:   16777216 kB\n";

    #[test]
    fn without_a_container_it_is_what_the_host_has_left() {
        let room = Tree::new(HOST).room();
        assert_eq!((room.available, room.capacity), (16 * GIB, 32 * GIB));
        assert_eq!(room.bound_by, "host");
    }

    #[test]
    fn the_containers_limit_counts_where_python_looked_at_the_host_alone() {
        let room = Tree::new(HOST)
            .file("proc/self/cgroup", "0::/\n")
            .file("sys/fs/cgroup/memory.max", "2147483648\n")
            .file("sys/fs/cgroup/memory.current", "1610612736\n")
            .file("sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 536870912\n")
            .room();
        assert_eq!((room.available, room.capacity), (GIB, 2 * GIB));
        assert_eq!(room.bound_by, "limit of the container, control group v2");
    }

    #[test]
    fn a_limit_of_version_1_counts_too() {
        let room = Tree::new(HOST)
            .file("proc/self/cgroup", "12:cpu,cpuacct:/x\n4:memory:/docker/abc\n")
            .file(
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            )
            .file(
                "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
                "1073741824\n",
            )
            .file(
                "sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes",
                "268435456\n",
            )
            .room();
        assert_eq!((room.available, room.capacity), (768 * MIB, GIB));
        assert_eq!(room.bound_by, "limit of the container, control group v1");
    }

    #[test]
    fn the_narrowest_group_on_the_way_up_sets_the_limit() {
        let room = Tree::new(HOST)
            .file("proc/self/cgroup", "0::/pod/worker\n")
            .file("sys/fs/cgroup/pod/worker/memory.max", "max\n")
            .file("sys/fs/cgroup/pod/memory.max", "1073741824\n")
            .file("sys/fs/cgroup/pod/memory.current", "0\n")
            .room();
        assert_eq!(room.available, GIB);
    }

    #[test]
    fn too_little_says_how_much_there_is_and_what_to_do() {
        let tree = Tree::new("MemTotal: 16777216 kB\nMemAvailable: 2097152 kB\n");
        insta::assert_snapshot!(
            tree.check(memory()).unwrap_err(),
            @"2.0 GiB of memory available (host), 4.0 GiB needed; use a larger machine, or lower RUNPOD_MIN_MEMORY_GB"
        );
        tree.check(memory().min_available(GIB)).unwrap();
    }

    #[test]
    fn a_container_that_was_made_small_needs_half_of_its_memory() {
        let tree = Tree::new("MemTotal: 2097152 kB\nMemAvailable: 1572864 kB\n");
        tree.check(memory()).unwrap();
        assert!(tree.check(memory().min_available(2 * GIB)).is_err());
    }

    #[test]
    fn what_cannot_be_read_or_understood_is_an_error() {
        assert!(matches!(
            measure(Path::new("/no/such/root")),
            Err(FitnessError::Unreadable { .. })
        ));
        for garbage in ["", "MemTotal: lots kB\nMemAvailable: 1 kB\n", "\u{0}\u{0}"] {
            let tree = Tree::new(garbage);
            assert!(measure(tree.0.path()).is_err(), "{garbage:?}");
        }
        let tree = Tree::new(HOST)
            .file("proc/self/cgroup", "::::\nnonsense\n0::/\n")
            .file("sys/fs/cgroup/memory.max", "lots\n");
        assert_eq!(
            tree.room().available,
            16 * GIB,
            "a limit that is no number is none"
        );
    }
}
