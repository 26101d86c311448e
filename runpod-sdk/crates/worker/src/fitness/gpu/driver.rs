//! The driver's library (NVML): opened once, called by one thread at a time.

use runpod_protocol::sync::unpoisoned;
use runpod_protocol::sync::{Mutex, MutexGuard};
use std::ffi::OsStr;
use std::sync::Condvar;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use crate::fitness::FitnessError;
use crate::fitness::settings::CudaVersion;

/// The longest wait for the call of another thread. A driver that hangs must not block every thread that calls it.
const ACCESS_LIMIT: Duration = Duration::from_secs(10);

/// The driver's library, kept open.
pub(super) struct Driver {
    open: Mutex<OpenLibrary>,
    free: Condvar,
}

struct OpenLibrary {
    in_use: bool,
    nvml: Option<Nvml>,
}

/// The right to call the library. Dropping it admits the next call.
struct DriverAccess<'a> {
    driver: &'a Driver,
}

impl Drop for DriverAccess<'_> {
    fn drop(&mut self) {
        self.driver.lock().in_use = false;
        self.driver.free.notify_one();
    }
}

impl Driver {
    pub(super) const fn new() -> Self {
        Self {
            open: Mutex::new(OpenLibrary {
                in_use: false,
                nvml: None,
            }),
            free: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, OpenLibrary> {
        self.open.lock()
    }

    fn access(&self, limit: Duration) -> Result<DriverAccess<'_>, FitnessError> {
        let waiting = self
            .free
            .wait_timeout_while(self.lock(), limit, |open| open.in_use);
        let (mut open, waited) = unpoisoned(waiting);
        if waited.timed_out() {
            return Err(FitnessError::Gpu("the driver does not answer".to_owned()));
        }
        open.in_use = true;
        Ok(DriverAccess { driver: self })
    }

    pub(super) fn read(&self, library: Option<&OsStr>) -> Result<Seen, FitnessError> {
        let _access = self.access(ACCESS_LIMIT)?;
        // The lock is not held during the call, which may never return.
        let open = self.lock().nvml.take();
        let nvml = match open {
            Some(nvml) => nvml,
            None => match load(library)? {
                Ok(nvml) => nvml,
                Err(why) => return Ok(Seen::Nothing { why }),
            },
        };
        // A library that fails is loaded again at the next call.
        let seen = look(&nvml)?;
        self.lock().nvml = Some(nvml);
        Ok(seen)
    }
}

/// The driver and its cards.
#[derive(Debug)]
pub(super) enum Seen {
    /// No driver, or none that can be used.
    Nothing { why: String },
    /// A driver with its cards. The error of a card says why it cannot be read.
    Driver {
        version: String,
        cuda: Option<CudaVersion>,
        cards: Vec<Result<Card, String>>,
    },
}

#[derive(Debug)]
pub(super) struct Card {
    pub(super) name: String,
    /// Free and total; `None` with a driver that is too old to say.
    pub(super) memory: Option<(u64, u64)>,
    pub(super) utilization: Option<u8>,
}

/// Loads the driver's library. The inner error is the reason for which there is none.
fn load(library: Option<&OsStr>) -> Result<Result<Nvml, String>, FitnessError> {
    let mut builder = Nvml::builder();
    if let Some(library) = library {
        builder.lib_path(library);
    }
    match builder.init() {
        Ok(nvml) => Ok(Ok(nvml)),
        // No library or no driver behind it: there is no GPU. A driver that is there and broken is
        // another matter.
        Err(error @ (NvmlError::LibloadingError(_) | NvmlError::DriverNotLoaded)) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(FitnessError::Gpu(format!(
            "the driver's library can't be used: {error}"
        ))),
    }
}

fn look(nvml: &Nvml) -> Result<Seen, FitnessError> {
    let count = nvml
        .device_count()
        .map_err(|error| FitnessError::Gpu(format!("the driver can't count its GPUs: {error}")))?;
    let cards = (0..count).map(|index| card(nvml, index).map_err(|error| error.to_string()));
    Ok(Seen::Driver {
        version: nvml
            .sys_driver_version()
            .unwrap_or_else(|_| "of unknown version".to_owned()),
        cuda: nvml.sys_cuda_driver_version().ok().and_then(|version| {
            Some(CudaVersion {
                major: u32::try_from(nvml_wrapper::cuda_driver_version_major(version)).ok()?,
                minor: u32::try_from(nvml_wrapper::cuda_driver_version_minor(version)).ok()?,
            })
        }),
        cards: cards.collect(),
    })
}

fn card(nvml: &Nvml, index: u32) -> Result<Card, NvmlError> {
    let device = nvml.device_by_index(index)?;
    let memory = match device.memory_info() {
        Ok(memory) => Some((memory.free, memory.total)),
        Err(NvmlError::FailedToLoadSymbol(_) | NvmlError::NotSupported) => None,
        Err(error) => return Err(error),
    };
    Ok(Card {
        name: device.name().unwrap_or_else(|_| "unnamed".to_owned()),
        memory,
        // Some cards do not report it while they are shared. No check depends on it.
        utilization: device
            .utilization_rates()
            .ok()
            .and_then(|rates| u8::try_from(rates.gpu).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_hangs_takes_no_others_thread_and_one_that_answers_is_asked_in_turn() {
        let driver = Driver::new();
        let hanging = driver.access(ACCESS_LIMIT).unwrap();
        let refused = driver.access(Duration::from_millis(20)).err();
        assert_eq!(
            refused.map(|error| error.to_string()).as_deref(),
            Some("the driver does not answer")
        );
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| driver.access(ACCESS_LIMIT).is_ok());
            drop(hanging);
            assert!(waiting.join().unwrap());
        });
        assert!(driver.access(Duration::ZERO).is_ok(), "it was given back");
    }
}
