//! GPUs, as NVIDIA's driver library sees them.
//!
//! The library is loaded while the check runs, so a worker with this feature starts on a machine without a GPU. The
//! library lists GPUs and their free memory; it cannot compute.

mod driver;

use std::path::PathBuf;

use tracing::{debug, warn};

use super::check::BuiltIn;
use super::settings::CudaVersion;
use super::{Check, FitnessError, Work, gib};
use driver::{Card, Driver, Seen};

/// Checks the GPUs; see [`gpu`].
#[derive(Debug, Clone)]
pub struct Gpu {
    required: bool,
    count: Option<u32>,
    min_free: Option<u64>,
    min_total: Option<u64>,
    min_cuda: Option<CudaVersion>,
    any_cuda: bool,
    library: Option<PathBuf>,
}

/// Checks, through the driver's library (NVML), that every GPU can be read, and that the driver knows
/// CUDA 11.8 or newer.
///
/// A machine without a GPU passes, unless GPUs are [required](Gpu::required), or their number or
/// their memory is asked for.
///
/// ```
/// use runpod_sdk::fitness::{self, GIB};
/// use runpod_sdk::{JobError, Worker};
///
/// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
///     .fitness_check("gpu", fitness::gpu().min_free_memory(8 * GIB).min_cuda_version(12, 4));
/// ```
///
/// It shows neither that memory can be allocated nor that a kernel runs: that takes CUDA itself.
pub fn gpu() -> Gpu {
    Gpu {
        required: false,
        count: None,
        min_free: None,
        min_total: None,
        min_cuda: None,
        any_cuda: false,
        library: None,
    }
}

impl Gpu {
    /// Makes a machine without a GPU unfit.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The exact number of GPUs.
    #[must_use]
    pub fn count(mut self, gpus: u32) -> Self {
        self.count = Some(gpus);
        self
    }

    /// The least free memory of each GPU, in bytes.
    #[must_use]
    pub fn min_free_memory(mut self, bytes: u64) -> Self {
        self.min_free = Some(bytes);
        self
    }

    /// The least memory of each GPU, in bytes.
    #[must_use]
    pub fn min_total_memory(mut self, bytes: u64) -> Self {
        self.min_total = Some(bytes);
        self
    }

    /// The least version of CUDA that the driver supports. Default 11.8. Overridden by
    /// `RUNPOD_MIN_CUDA_VERSION`. A driver without that figure passes with a warning.
    #[must_use]
    pub fn min_cuda_version(mut self, major: u32, minor: u32) -> Self {
        self.min_cuda = Some(CudaVersion { major, minor });
        self
    }

    /// The path of the driver's library. Default: `libnvidia-ml.so.1`, as the system's loader finds it.
    #[must_use]
    pub fn library(mut self, path: impl Into<PathBuf>) -> Self {
        self.library = Some(path.into());
        self
    }

    pub(super) fn any_cuda_version(mut self) -> Self {
        self.any_cuda = true;
        self
    }

    fn look(&self, asked: Option<CudaVersion>) -> Result<(), FitnessError> {
        let seen = Driver::new().read(self.library.as_deref().map(std::path::Path::as_os_str))?;
        self.judge(&seen, asked)
    }

    fn judge(&self, seen: &Seen, asked: Option<CudaVersion>) -> Result<(), FitnessError> {
        let Seen::Driver { version, cuda, cards } = seen else {
            return self.without(seen);
        };
        if cards.is_empty() {
            return self.without(seen);
        }
        if let Some(count) = self.count.filter(|count| cards.len() != *count as usize) {
            return Err(FitnessError::Gpu(format!(
                "{} GPU(s) seen, {count} expected; check the endpoint's number of GPUs per worker",
                cards.len()
            )));
        }
        for (index, card) in cards.iter().enumerate() {
            let Card { name, memory, .. } = card
                .as_ref()
                .map_err(|why| FitnessError::Gpu(format!("GPU {index} can't be read: {why}")))?;
            self.judge_memory(&format!("GPU {index} ({name})"), *memory)?;
        }
        let needed = asked.or(self.min_cuda).unwrap_or(CudaVersion::DEFAULT);
        match cuda {
            _ if self.any_cuda => {}
            None => warn!(driver = version, "the driver does not say which CUDA it knows"),
            Some(found) if *found < needed => {
                return Err(FitnessError::Gpu(format!(
                    "the driver {version} knows CUDA {found}, {needed} needed; choose hosts with a newer \
                     CUDA version in the endpoint's settings, or lower RUNPOD_MIN_CUDA_VERSION"
                )));
            }
            Some(_) => {}
        }
        debug!(gpus = cards.len(), driver = version, "GPUs are fit");
        Ok(())
    }

    fn judge_memory(&self, gpu: &str, memory: Option<(u64, u64)>) -> Result<(), FitnessError> {
        let Some((free, total)) = memory else {
            if self.min_free.is_none() && self.min_total.is_none() {
                return Ok(());
            }
            return Err(FitnessError::Gpu(format!(
                "{gpu}: the driver does not say how much memory it has; it is too old"
            )));
        };
        if total == 0 {
            return Err(FitnessError::Gpu(format!("{gpu} reports no memory at all")));
        }
        if let Some(needed) = self.min_total.filter(|needed| total < *needed) {
            return Err(FitnessError::Gpu(format!(
                "{gpu} has {} of memory, {} needed; choose a larger GPU",
                gib(total),
                gib(needed)
            )));
        }
        if let Some(needed) = self.min_free.filter(|needed| free < *needed) {
            return Err(FitnessError::Gpu(format!(
                "{gpu} has {} of {} free, {} needed; another process holds the rest",
                gib(free),
                gib(total),
                gib(needed)
            )));
        }
        Ok(())
    }

    fn without(&self, seen: &Seen) -> Result<(), FitnessError> {
        let why = match seen {
            Seen::Nothing { why } => why.clone(),
            Seen::Driver { version, .. } => format!("the driver {version} lists none"),
        };
        let wanted = self.required
            || self.count.is_some_and(|count| count > 0)
            || self.min_free.is_some()
            || self.min_total.is_some();
        if wanted {
            return Err(FitnessError::NoGpu { why });
        }
        debug!(why, "no GPU seen");
        Ok(())
    }
}

impl Check<BuiltIn> for Gpu {
    fn into_work(self) -> Work {
        Work::built_in(move |environment| {
            let asked = environment.min_cuda;
            async move {
                // The driver may need several seconds: on a machine without a display it starts now.
                tokio::task::spawn_blocking(move || self.look(asked))
                    .await
                    .unwrap_or_else(|lost| Err(FitnessError::Gpu(format!("the driver's library: {lost}"))))
            }
        })
    }
}

/// One GPU, as the driver's library describes it at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuFacts {
    /// The card's name.
    pub name: String,
    /// Free bytes of memory; `None` with a driver that is too old to report it.
    pub free_memory: Option<u64>,
    /// Bytes of memory in all; `None` with a driver that is too old to report it.
    pub total_memory: Option<u64>,
    /// Percent of the driver's last sample period (a sixth of a second to a second) in which something was computed;
    /// `None` for a card or a driver that does not report it.
    pub utilization: Option<u8>,
}

/// The GPUs that the driver's library (NVML) lists now. The list is empty without a driver.
///
/// The library stays open after the first call. A call blocks its thread, for under a millisecond to several seconds;
/// the first one after the start of the machine is the slowest. Calls run one at a time, and wait at most 10 s for each
/// other.
///
/// # Errors
///
/// The library cannot be used, a GPU cannot be read, or the driver does not answer an earlier call.
pub fn gpus() -> Result<Vec<GpuFacts>, FitnessError> {
    static DRIVER: Driver = Driver::new();
    facts(DRIVER.read(None)?)
}

fn facts(seen: Seen) -> Result<Vec<GpuFacts>, FitnessError> {
    let Seen::Driver { cards, .. } = seen else {
        return Ok(Vec::new());
    };
    let each = cards.into_iter().enumerate().map(|(index, card)| {
        let Card {
            name,
            memory,
            utilization,
        } = card.map_err(|why| FitnessError::Gpu(format!("GPU {index} can't be read: {why}")))?;
        let (free_memory, total_memory) = memory.unzip();
        Ok(GpuFacts {
            name,
            free_memory,
            total_memory,
            utilization,
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::fitness::GIB;

    /// A driver library with two cards, made by the system's C compiler. The second has less memory.
    fn driver(folder: &Path, version: i32, cards: u32) -> PathBuf {
        let source = include_str!("../../../../../tests/fixtures/driver.c")
            .replace("CUDA_VERSION", &version.to_string())
            .replace("CARDS", &cards.to_string())
            .replace("FOLDER", &format!("\"{}\"", folder.display()));
        let (file, library) = (folder.join("driver.c"), folder.join("libnvidia-ml.so.1"));
        std::fs::write(&file, source).unwrap();
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &file])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        library
    }

    fn complaint(check: &Gpu) -> String {
        check.look(None).unwrap_err().to_string()
    }

    #[test]
    fn the_facts_are_those_of_each_card() {
        let folder = tempfile::tempdir().unwrap();
        let library = driver(folder.path(), 12040, 2);
        let seen = Driver::new().read(Some(library.as_os_str())).unwrap();
        let facts = facts(seen).unwrap();
        assert_eq!(facts.len(), 2);
        assert_eq!(facts[0].utilization, Some(37));
        assert_eq!(facts[1].utilization, None, "the second does not say");
        assert!(facts[0].total_memory > facts[1].total_memory, "{facts:?}");
        assert!(
            facts
                .iter()
                .all(|card| card.free_memory <= card.total_memory && !card.name.is_empty())
        );
    }

    #[test]
    fn the_library_is_opened_once_and_anew_after_it_failed() {
        let folder = tempfile::tempdir().unwrap();
        let library = driver(folder.path(), 12040, 2);
        let driver = Driver::new();
        let opened = || std::fs::read(folder.path().join("opened")).unwrap().len();
        for _ in 0..3 {
            driver.read(Some(library.as_os_str())).unwrap();
        }
        assert_eq!(opened(), 1);
        std::fs::write(folder.path().join("broken"), "").unwrap();
        assert!(driver.read(Some(library.as_os_str())).is_err());
        std::fs::remove_file(folder.path().join("broken")).unwrap();
        driver.read(Some(library.as_os_str())).unwrap();
        assert_eq!(opened(), 2);
    }

    #[test]
    fn no_library_is_no_gpu_and_that_is_fine_unless_one_is_asked_for() {
        let nowhere = gpu().library("/no/such/libnvidia-ml.so.1");
        nowhere.look(None).unwrap();
        nowhere.clone().count(0).look(None).unwrap();
        for asked in [
            nowhere.clone().required(),
            nowhere.clone().count(1),
            nowhere.clone().min_free_memory(1),
            nowhere.min_total_memory(1),
        ] {
            assert!(complaint(&asked).starts_with("no GPU seen ("), "{asked:?}");
        }
    }

    #[test]
    fn the_drivers_answers_are_read_and_judged() {
        let folder = tempfile::tempdir().unwrap();
        let here = gpu().library(driver(folder.path(), 12040, 2));
        here.clone()
            .count(2)
            .min_free_memory(8 * GIB)
            .min_total_memory(16 * GIB)
            .min_cuda_version(12, 4)
            .look(None)
            .unwrap();
        assert_eq!(
            complaint(&here.clone().count(4)),
            "2 GPU(s) seen, 4 expected; check the endpoint's number of GPUs per worker"
        );
        assert_eq!(
            complaint(&here.clone().min_free_memory(10 * GIB)),
            "GPU 1 (Fake GPU) has 8.0 GiB of 16.0 GiB free, 10.0 GiB needed; another process holds the rest"
        );
        assert_eq!(
            complaint(&here.clone().min_total_memory(20 * GIB)),
            "GPU 1 (Fake GPU) has 16.0 GiB of memory, 20.0 GiB needed; choose a larger GPU"
        );
        let old = complaint(&here.clone().min_cuda_version(12, 6));
        assert!(
            old.starts_with("the driver 550.54.14 knows CUDA 12.4, 12.6 needed; "),
            "{old}"
        );
        let asked = Some(CudaVersion { major: 13, minor: 0 });
        assert!(here.look(asked).is_err(), "the environment has the last word");
        here.any_cuda_version().look(asked).unwrap();
    }

    #[test]
    fn a_driver_without_a_card_is_no_gpu() {
        let folder = tempfile::tempdir().unwrap();
        let here = gpu().library(driver(folder.path(), 12040, 0));
        here.look(None).unwrap();
        assert!(complaint(&here.required()).contains("the driver 550.54.14 lists none"));
    }

    #[test]
    fn a_card_that_fell_off_the_bus_makes_the_machine_unfit() {
        let folder = tempfile::tempdir().unwrap();
        let here = gpu().library(driver(folder.path(), 12040, 3));
        let said = complaint(&here);
        assert!(said.starts_with("GPU 2 can't be read: "), "{said}");
    }

    #[test]
    fn a_driver_that_does_not_say_its_cuda_passes_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let here = gpu().library(driver(folder.path(), -1, 1));
        here.min_cuda_version(99, 0).look(None).unwrap();
    }

    #[test]
    fn a_library_that_is_none_is_no_gpu() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libnvidia-ml.so.1");
        std::fs::write(&file, "not a library").unwrap();
        gpu().library(file).look(None).unwrap();
    }
}
