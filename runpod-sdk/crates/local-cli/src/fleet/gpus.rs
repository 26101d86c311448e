//! Which GPUs each worker sees.

use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use runpod_child::VisibleGpus;

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
    /// The shares of the workers, in their order. Where there are fewer GPUs than workers, neighbours share one.
    pub(super) fn shares(&self, workers: usize) -> anyhow::Result<Vec<VisibleGpus>> {
        let present = VisibleGpus::inherited(on_this_machine(Path::new("/dev")));
        Ok(self.among(&present)?.divided(workers))
    }

    fn among(&self, present: &VisibleGpus) -> anyhow::Result<VisibleGpus> {
        let names = present.value();
        let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
        let chosen = match self {
            Self::All => names,
            Self::Listed(listed) => listed
                .iter()
                .map(|device| one(device, &names))
                .collect::<Result<_, _>>()?,
        };
        ensure!(!chosen.is_empty(), "--gpus: this machine shows no GPU");
        Ok(VisibleGpus::of(Some(&chosen.join(",")), 0))
    }
}

fn one<'a>(device: &str, present: &[&'a str]) -> anyhow::Result<&'a str> {
    let by_name = present.iter().find(|name| **name == device);
    if let Some(name) = by_name
        && device.parse::<usize>().is_err()
    {
        return Ok(name);
    }
    let position: usize = device.parse().with_context(|| {
        format!(
            "--gpus: {device} is neither a number nor one of {}",
            present.join(", ")
        )
    })?;
    present.get(position).copied().with_context(|| {
        format!(
            "--gpus: there is no device {position}; this command sees {} of them",
            present.len()
        )
    })
}

/// How many device files the driver has: `/dev/nvidia0` and so on.
fn on_this_machine(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("nvidia")?.parse::<usize>().ok()
    };
    entries.filter_map(number).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(gpus: &str, present: &str) -> Result<String, String> {
        let gpus: Gpus = gpus.parse().unwrap();
        let chosen = gpus.among(&VisibleGpus::of(Some(present), 0));
        chosen.map(|gpus| gpus.value()).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_count_the_devices_that_this_command_may_use() {
        assert_eq!(among("all", "2,5").unwrap(), "2,5");
        assert_eq!(among("1", "2,5").unwrap(), "5");
        assert_eq!(among("0, 1", "GPU-a,GPU-b").unwrap(), "GPU-a,GPU-b");
        assert_eq!(among("GPU-b", "GPU-a,GPU-b").unwrap(), "GPU-b");
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        assert!(among("2", "0,1").unwrap_err().contains("no device 2"));
        assert!(among("GPU-c", "GPU-a").unwrap_err().contains("GPU-c"));
        assert!(among("all", "").unwrap_err().contains("no GPU"));
    }

    #[test]
    fn the_drivers_files_are_counted_and_its_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["nvidia10", "nvidia0", "nvidiactl", "nvidia-uvm", "null"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(on_this_machine(folder.path()), 2);
    }
}
