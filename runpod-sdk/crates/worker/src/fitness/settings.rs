//! The settings of fitness checks from the environment (`docs/protocol/worker-protocol.md` §2).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use runpod_protocol::variable;

use super::GIB;
use crate::settings::Template;

/// The settings of the built-in checks. `None` leaves the default of the check.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct CheckEnvironment {
    pub(crate) skip_automatic: bool,
    pub(crate) skip_gpu: bool,
    pub(crate) min_memory: Option<u64>,
    pub(crate) min_disk_percent: Option<f64>,
    pub(crate) min_cuda: Option<CudaVersion>,
    pub(crate) network_limit: Option<Duration>,
    pub(crate) network_targets: Vec<String>,
    /// The platform: host and port of one of its URLs.
    pub(crate) platform: Option<String>,
    /// Values that could not be read.
    pub(crate) warnings: Vec<String>,
}

impl CheckEnvironment {
    /// Reads the environment. `platform` is a URL of the platform, if this worker has one.
    pub(crate) fn new(
        lookup: impl Fn(&str) -> Option<String>,
        platform: Option<&Template>,
        network_targets: &[String],
    ) -> Self {
        let get = |name: &str| variable::unless_blank(lookup(name));
        let on = |name: &str| get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let mut warnings = Vec::new();
        let mut number = |name: &str, unit: &str, default: &str, most: f64| -> Option<f64> {
            let text = get(name)?;
            let value = text
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|value| (0.0..=most).contains(value));
            if value.is_none() {
                warnings.push(format!("{name}={text} is not {unit}; using {default}"));
            }
            value
        };
        let min_memory = number("RUNPOD_MIN_MEMORY_GB", "a number of GiB", "4.0", 1e6).map(bytes);
        let min_disk_percent = number("RUNPOD_MIN_DISK_PERCENT", "a percentage", "10.0", 100.0);
        let network_limit = number("RUNPOD_NETWORK_CHECK_TIMEOUT", "a number of seconds", "5", 3600.0)
            .map(Duration::from_secs_f64);
        let min_cuda = get("RUNPOD_MIN_CUDA_VERSION").and_then(|text| match text.parse() {
            Ok(version) => Some(version),
            Err(_) => {
                warnings.push(format!(
                    "RUNPOD_MIN_CUDA_VERSION={text} is not a version such as 12.4; using {}",
                    CudaVersion::DEFAULT
                ));
                None
            }
        });
        Self {
            skip_automatic: on("RUNPOD_SKIP_AUTO_SYSTEM_CHECKS"),
            skip_gpu: on("RUNPOD_SKIP_GPU_CHECK"),
            min_memory,
            min_disk_percent,
            min_cuda,
            network_limit,
            network_targets: network_targets.to_vec(),
            platform: platform.and_then(Template::address).map(|(host, port)| {
                if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                }
            }),
            warnings,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked to be from 0 to a million"
)]
fn bytes(gib: f64) -> u64 {
    (gib * GIB as f64) as u64
}

/// A version of CUDA: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CudaVersion {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl CudaVersion {
    /// The default of the Python worker.
    pub(crate) const DEFAULT: Self = Self { major: 11, minor: 8 };
}

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for CudaVersion {
    type Err = std::num::ParseIntError;

    /// `12`, `12.4` or `12.4.1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().split('.');
        let major = parts.next().unwrap_or_default().parse()?;
        let minor = parts.next().map_or(Ok(0), str::parse)?;
        Ok(Self { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> CheckEnvironment {
        let take = Template::parse("https://api.runpod.ai/v2/ep/job-take/$ID?gpu=A").unwrap();
        CheckEnvironment::new(
            |name| {
                let found = pairs.iter().find(|(key, _)| *key == name)?;
                Some(found.1.to_owned())
            },
            Some(&take),
            &[],
        )
    }

    #[test]
    fn pythons_switches_are_on_only_by_the_word_true_in_any_case() {
        for (text, on) in [
            ("true", true),
            ("TRUE", true),
            ("1", false),
            ("yes", false),
            ("", false),
        ] {
            let seen = read(&[
                ("RUNPOD_SKIP_AUTO_SYSTEM_CHECKS", text),
                ("RUNPOD_SKIP_GPU_CHECK", text),
            ]);
            assert_eq!((seen.skip_automatic, seen.skip_gpu), (on, on), "{text}");
        }
    }

    #[test]
    fn thresholds_are_read() {
        let seen = read(&[
            ("RUNPOD_MIN_MEMORY_GB", "0.5"),
            ("RUNPOD_MIN_DISK_PERCENT", "3"),
            ("RUNPOD_MIN_CUDA_VERSION", "12.4.1"),
            ("RUNPOD_NETWORK_CHECK_TIMEOUT", "2"),
        ]);
        assert_eq!(seen.min_memory, Some(GIB / 2));
        assert_eq!(seen.min_disk_percent, Some(3.0));
        assert_eq!(seen.min_cuda, Some(CudaVersion { major: 12, minor: 4 }));
        assert_eq!(seen.network_limit, Some(Duration::from_secs(2)));
        assert_eq!(seen.platform.as_deref(), Some("api.runpod.ai:443"));
        assert!(seen.warnings.is_empty());
    }

    #[test]
    fn a_bad_number_is_named_and_its_default_holds_where_python_crashed() {
        let seen = read(&[
            ("RUNPOD_MIN_MEMORY_GB", "lots"),
            ("RUNPOD_MIN_DISK_PERCENT", "120"),
            ("RUNPOD_MIN_CUDA_VERSION", "new"),
            ("RUNPOD_NETWORK_CHECK_TIMEOUT", "-1"),
        ]);
        insta::assert_snapshot!(seen.warnings.join("\n"), @r"
        RUNPOD_MIN_MEMORY_GB=lots is not a number of GiB; using 4.0
        RUNPOD_MIN_DISK_PERCENT=120 is not a percentage; using 10.0
        RUNPOD_NETWORK_CHECK_TIMEOUT=-1 is not a number of seconds; using 5
        RUNPOD_MIN_CUDA_VERSION=new is not a version such as 12.4; using 11.8
        ");
        assert_eq!((seen.min_memory, seen.min_disk_percent), (None, None));
        assert_eq!((seen.min_cuda, seen.network_limit), (None, None));
    }
}
