//! The real disk behind a simulated network. While the network is down, no call returns.

use runpod_protocol::sync::unpoisoned;
use runpod_protocol::sync::{Mutex, MutexGuard};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar};

use bytes::Bytes;

use crate::journal::blocking_pool::BlockingPool;
use crate::journal::disk::{Disk, DiskFile, FileStat, LivenessFile, RealDisk};
use crate::journal::handle::JournalHandle;
use crate::settings::Journal;

/// The simulated network. Dropping it ends the outage, so that no thread outlives a test.
#[derive(Default)]
pub(crate) struct Network(Arc<Line>);

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    back: Condvar,
}

#[derive(Default)]
struct State {
    gone: bool,
    waiting: usize,
}

impl Network {
    pub(crate) fn go(&self) {
        self.0.lock().gone = true;
    }

    pub(crate) fn come_back(&self) {
        self.0.lock().gone = false;
        self.0.back.notify_all();
    }

    /// The number of blocked calls, each on a thread.
    pub(crate) fn waiting(&self) -> usize {
        self.0.lock().waiting
    }

    /// A journal on a disk behind this network.
    pub(crate) async fn journal(&self, journal: Journal, pool: BlockingPool) -> JournalHandle {
        JournalHandle::open_on(journal, Arc::new(HangingDisk(self.0.clone())), pool).await
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.come_back();
    }
}

impl Line {
    fn pass(&self) {
        let mut state = self.lock();
        state.waiting += 1;
        let mut state = unpoisoned(self.back.wait_while(state, |state| state.gone));
        state.waiting -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

struct HangingDisk(Arc<Line>);

struct HangingFile(Arc<Line>, Box<dyn DiskFile>);

struct HangingSign(Arc<Line>, Box<dyn LivenessFile>);

impl Disk for HangingDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.pass();
        RealDisk.make_dir(dir)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.pass();
        RealDisk.names(dir)
    }

    fn read_head(&self, path: &Path, length: usize) -> io::Result<Bytes> {
        self.0.pass();
        RealDisk.read_head(path, length)
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        self.0.pass();
        RealDisk.read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.pass();
        Ok(Box::new(HangingFile(self.0.clone(), RealDisk.create(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.pass();
        RealDisk.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.pass();
        RealDisk.sync_dir(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.pass();
        RealDisk.remove(path)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.0.pass();
        RealDisk.stat(path)
    }

    fn create_liveness_file(&self, path: &Path) -> io::Result<Box<dyn LivenessFile>> {
        self.0.pass();
        Ok(Box::new(HangingSign(
            self.0.clone(),
            RealDisk.create_liveness_file(path)?,
        )))
    }

    fn is_alive(&self, path: &Path) -> io::Result<Option<bool>> {
        self.0.pass();
        RealDisk.is_alive(path)
    }
}

impl DiskFile for HangingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.pass();
        self.1.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.pass();
        self.1.sync()
    }
}

impl LivenessFile for HangingSign {
    fn renew(&mut self) -> io::Result<()> {
        self.0.pass();
        self.1.renew()
    }
}
