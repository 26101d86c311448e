//! The settings of the journal: its directory and limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::form::ValueOrOff;

/// The directory and the limits of a journal, which stores results until they are delivered.
///
/// Give it to [`Worker::journal`](crate::Worker::journal), or set `RUNPOD_WORKER_JOURNAL`. Without a journal a result
/// is lost if its process dies before the platform has accepted it. With a journal:
///
/// - A result is written to the directory beside the first attempt to post it, and removed once it is delivered. If
///   that attempt is faster, nothing is written. After a kill, the next worker that starts with the directory delivers
///   the result in the name of the worker that ran the job: before its first take, or beside it if the platform needs
///   more than 2 s to accept it.
/// - A result that is not delivered within the [delivery window](crate::Worker::delivery_window) is tried again
///   until it expires. If it could not be written when the job ended, it is written then.
/// - A job that is handed out again while its result is stored is answered without running its handler. So is one
///   whose result was delivered by a later start, until that result expires: it may have come too late to count.
/// - A job whose process died while it ran is counted. After [`crashes`](Self::crashes) such ends it fails with
///   the code [`POISON_JOB`](crate::ErrorCode::POISON_JOB) instead of running once more.
///
/// Delivery is at least once: a process that dies between the platform's answer and the removal leaves a result
/// that is posted again, the same bytes for the same job.
///
/// # What survives what
///
/// | what happens | what becomes of the result |
/// |---|---|
/// | the process is killed while the handler runs | there is none; the crash is counted, and the platform hands the job out again |
/// | the process is killed while the result is being written | lost like that; the torn file is never taken for a result, and is removed |
/// | the process is killed later | delivered by the next start |
/// | the power fails, or the volume's server does | the same: a result counts as stored once file and directory are synced (`fsync`). Marks of starts are not synced, so a crash may go uncounted |
/// | a stored file is damaged | set aside under `unreadable`, with a line in the log; its job runs again if it is handed out again |
/// | the directory cannot be used | delivered as without a journal |
///
/// The write runs beside the post, on the journal's own threads, and no job waits for it. A job waits only for a look
/// into the directory and the mark of its start: three small calls, each a round trip on a network volume.
///
/// # The directory
///
/// Put it on the network volume, where the next worker finds it. Any number of workers may share it, also those of
/// several endpoints: each endpoint has its own folder (`v1/RUNPOD_ENDPOINT_ID`), and its workers ignore the folders
/// of others. The directory holds the output of handlers unencrypted. Directories have mode 0700 and files 0600. Only
/// delivery or expiry removes them.
///
/// If it cannot be used (full, read-only, no permission), the worker logs one line and continues without it, and no
/// job fails. The directory is tried again every minute. The start, or the jobs that are about to begin, wait 10 s
/// once for a volume that does not answer. After that it is not used until it answers. Takes, heartbeats and results
/// do not wait for it.
///
/// ```
/// use std::time::Duration;
///
/// use runpod_sdk::{JobError, Journal, Worker};
///
/// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n * 2) })
///     .journal(Journal::at("/runpod-volume/journal").keep(Duration::from_secs(3600)).crashes(2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "give it to Worker::journal"]
pub struct Journal {
    pub(crate) dir: PathBuf,
    /// Whose jobs it is about; `None` where the platform names no endpoint.
    pub(crate) endpoint: Option<String>,
    pub(crate) keep: Duration,
    pub(crate) most_bytes: u64,
    pub(crate) crashes: usize,
}

impl Journal {
    /// A journal in this directory, which is created if it is missing. Overridden by `RUNPOD_WORKER_JOURNAL`; the word
    /// `off` there means no journal.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            endpoint: None,
            keep: Duration::from_mins(30),
            most_bytes: 1 << 30,
            crashes: 3,
        }
    }

    /// How long an undelivered result is kept. Default 30 min, as long as the platform itself keeps a finished
    /// job's result (`docs/protocol/worker-protocol.md` §16).
    pub fn keep(mut self, time: Duration) -> Self {
        self.keep = time;
        self
    }

    /// Sets the most bytes of an endpoint's results, over all its workers. A result that does not fit is not kept.
    /// Default 1 GiB. Overridden by `RUNPOD_WORKER_JOURNAL_BYTES`.
    pub fn most_bytes(mut self, bytes: u64) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// Sets how many times a job's process may die while the job runs before the job fails as
    /// [`POISON_JOB`](crate::ErrorCode::POISON_JOB). 0 means no limit. Default 3. Overridden by
    /// `RUNPOD_WORKER_JOURNAL_CRASHES`.
    ///
    /// A process dies when it is killed, aborts or runs out of memory. A drain, the end of the grace period and a
    /// second signal do not count. The death counts for all jobs that ran in the process, so allow more deaths if
    /// several jobs run at once. The count of a job is cleared when it ends in any way, even by a panic. A death more
    /// than a day ago is not counted.
    pub fn crashes(mut self, times: usize) -> Self {
        self.crashes = times;
        self
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl From<&str> for Journal {
    fn from(dir: &str) -> Self {
        Self::at(dir)
    }
}

impl From<PathBuf> for Journal {
    fn from(dir: PathBuf) -> Self {
        Self::at(dir)
    }
}

impl From<&Path> for Journal {
    fn from(dir: &Path) -> Self {
        Self::at(dir)
    }
}

/// Lets the environment override what the program says, and names the endpoint whose jobs it is about.
pub(super) fn overridden(
    journal: Option<Journal>,
    directory: Option<ValueOrOff<PathBuf>>,
    most_bytes: Option<u64>,
    crashes: Option<usize>,
    endpoint: Option<String>,
) -> Option<Journal> {
    let mut journal = match (directory, journal) {
        (None, journal) => journal?,
        (Some(ValueOrOff::Off), _) => return None,
        (Some(ValueOrOff::Value(dir)), Some(journal)) => Journal { dir, ..journal },
        (Some(ValueOrOff::Value(dir)), None) => Journal::at(dir),
    };
    journal.most_bytes = most_bytes.unwrap_or(journal.most_bytes);
    journal.crashes = crashes.unwrap_or(journal.crashes);
    journal.endpoint = endpoint;
    Some(journal)
}
