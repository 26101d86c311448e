//! Which GPU each worker sees.

use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, ensure};

/// The variable that says which devices a process may use.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// The value of `--gpus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gpus {
    All,
    /// Positions in the inherited list, or the driver's numbers where there is none; or names such as `GPU-8f2c`.
    Listed(Vec<String>),
}

impl FromStr for Gpus {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let devices = || text.split(',').map(|device| device.trim().to_owned());
        Ok(if text == "all" {
            Self::All
        } else {
            Self::Listed(devices().filter(|device| !device.is_empty()).collect())
        })
    }
}

impl Gpus {
    /// The devices for the workers, as values of `CUDA_VISIBLE_DEVICES`.
    pub(super) fn devices(&self) -> anyhow::Result<Vec<String>> {
        let inherited = std::env::var(VISIBLE).ok().filter(|list| !list.is_empty());
        let present = match inherited {
            Some(list) => list.split(',').map(|device| device.trim().to_owned()).collect(),
            None => on_this_machine(Path::new("/dev")),
        };
        self.among(&present)
    }

    fn among(&self, present: &[String]) -> anyhow::Result<Vec<String>> {
        let devices = match self {
            Self::All => present.to_vec(),
            Self::Listed(listed) => listed
                .iter()
                .map(|device| one(device, present))
                .collect::<Result<_, _>>()?,
        };
        ensure!(!devices.is_empty(), "--gpus: this machine shows no GPU");
        Ok(devices)
    }
}

fn one(device: &str, present: &[String]) -> anyhow::Result<String> {
    if present.iter().any(|known| known == device) && device.parse::<usize>().is_err() {
        return Ok(device.to_owned());
    }
    let position: usize = device.parse().with_context(|| {
        format!(
            "--gpus: {device} is neither a number nor one of {}",
            present.join(", ")
        )
    })?;
    present.get(position).cloned().with_context(|| {
        format!(
            "--gpus: there is no device {position}; this command sees {} of them",
            present.len()
        )
    })
}

/// The driver's device files, `/dev/nvidia0` and so on.
fn on_this_machine(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("nvidia")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(gpus: &str, present: &[&str]) -> Result<Vec<String>, String> {
        let present: Vec<String> = present.iter().map(|&device| device.to_owned()).collect();
        let gpus: Gpus = gpus.parse().unwrap();
        gpus.among(&present).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_count_the_devices_that_this_command_may_use() {
        assert_eq!(among("all", &["2", "5"]).unwrap(), ["2", "5"]);
        assert_eq!(among("1", &["2", "5"]).unwrap(), ["5"]);
        assert_eq!(among("0, 1", &["GPU-a", "GPU-b"]).unwrap(), ["GPU-a", "GPU-b"]);
        assert_eq!(among("GPU-b", &["GPU-a", "GPU-b"]).unwrap(), ["GPU-b"]);
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        assert!(among("2", &["0", "1"]).unwrap_err().contains("no device 2"));
        assert!(among("GPU-c", &["GPU-a"]).unwrap_err().contains("GPU-c"));
        assert!(among("all", &[]).unwrap_err().contains("no GPU"));
    }

    #[test]
    fn the_drivers_files_are_counted_and_its_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["nvidia10", "nvidia0", "nvidiactl", "nvidia-uvm", "null"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(on_this_machine(folder.path()), ["0", "10"]);
    }
}
