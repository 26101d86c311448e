//! A file that says how a mock behaves.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// Faults and the seed of their chances, from a JSON file.
///
/// ```
/// use mock_webui::{Fault, Scenario};
///
/// let scenario: Scenario = r#"{
///     "seed": 7,
///     "faults": [
///         { "kind": "status", "status": 503, "times": 2 },
///         { "kind": "out-of-memory", "until": "unload", "after": 3 },
///         { "kind": "slow-drip", "bytes": 1000, "every_ms": 5, "chance": 0.1, "times": 0 },
///         { "kind": "garbage", "on": "/sdapi/v1/sd-models" }
///     ]
/// }"#
/// .parse()?;
/// assert_eq!(scenario.faults[0], Fault::status(503).times(2));
/// # Ok::<(), mock_webui::ScenarioError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Scenario {
    /// Makes the faults' chances, and the mock's random seeds, the same at every run.
    #[serde(default)]
    pub seed: Option<u64>,
    /// The faults, in the order they are looked at.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read the scenario {file}: {source}")]
    Unreadable {
        /// The file's path.
        file: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The text is not a scenario.
    #[error("not a scenario: {0}; the documentation of `FaultKind` lists the kinds and their fields")]
    Malformed(#[from] serde_json::Error),
}

impl Scenario {
    /// Reads a scenario file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ScenarioError> {
        let path = path.as_ref();
        std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Unreadable {
                file: path.display().to_string(),
                source,
            })?
            .parse()
    }
}

impl std::str::FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(serde_json::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClearedBy, FaultKind};
    use super::*;

    #[test]
    fn every_kind_has_a_name_in_a_file() {
        let kinds = [
            ("{\"kind\":\"plain-text-500\"}", FaultKind::PlainText500),
            (
                "{\"kind\":\"out-of-memory\"}",
                FaultKind::OutOfMemory {
                    until: ClearedBy::Once,
                },
            ),
            ("{\"kind\":\"die-at\",\"step\":3}", FaultKind::DieAt { step: 3 }),
            (
                "{\"kind\":\"stall-at\",\"step\":3}",
                FaultKind::StallAt { step: 3, deaf: false },
            ),
            ("{\"kind\":\"ignore-lora\"}", FaultKind::IgnoreLora),
        ];
        for (text, kind) in kinds {
            let fault: Fault = serde_json::from_str(text).expect(text);
            assert_eq!(fault, Fault::new(kind));
        }
    }

    #[test]
    fn a_mistake_in_a_file_is_named() {
        let error = "{\"faults\":[{\"kind\":\"explode\"}]}"
            .parse::<Scenario>()
            .expect_err("no such kind");
        assert!(error.to_string().contains("explode"), "{error}");
    }
}
