//! Checkpoints on the imitated disk.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Value, json};

/// A checkpoint file.
///
/// The real server names a checkpoint by its file, and by its hash once it has computed one
/// (`docs/protocol/webui-api.md` §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    file: String,
    sha256: Option<String>,
    config: bool,
    /// A folder of the diffusers format, as SD.Next lists them.
    folder: bool,
}

impl Model {
    /// A checkpoint without a hash. `.safetensors` is added when the name has no known ending.
    pub fn new(name: impl Into<String>) -> Self {
        let mut file = name.into();
        let ending = Path::new(&file).extension().and_then(OsStr::to_str);
        if !matches!(ending, Some("safetensors" | "ckpt")) {
            file.push_str(".safetensors");
        }
        Self {
            file,
            sha256: None,
            config: false,
            folder: false,
        }
    }

    /// A folder in the diffusers format, such as `Diffusers/tinysd`.
    pub fn folder(name: impl Into<String>) -> Self {
        Self {
            file: name.into(),
            sha256: None,
            config: false,
            folder: true,
        }
    }

    /// The hash of the file: 64 hexadecimal digits, of which the first ten appear in titles and infotexts.
    #[must_use]
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into());
        self
    }

    /// Puts a configuration file beside the checkpoint.
    #[must_use]
    pub fn config(mut self) -> Self {
        self.config = true;
        self
    }

    /// The file name without its ending, as in the infotext.
    pub fn name(&self) -> &str {
        if self.folder {
            return &self.file;
        }
        self.file
            .rsplit_once('.')
            .map_or(self.file.as_str(), |(stem, _)| stem)
    }

    /// The last part of the name, as in infotexts of SD.Next.
    pub(crate) fn base_name(&self) -> &str {
        let name = self.name();
        name.rsplit_once('/').map_or(name, |(_, base)| base)
    }

    /// The title as `sd_model_checkpoint` has it: file name, and the short hash when it is known.
    pub fn title(&self) -> String {
        match self.short_hash() {
            Some(hash) => format!("{} [{hash}]", self.file),
            None => self.file.clone(),
        }
    }

    /// The first ten digits of the hash.
    pub fn short_hash(&self) -> Option<&str> {
        self.sha256
            .as_deref()
            .map(|digest| digest.get(..10).unwrap_or(digest))
    }

    pub(crate) fn digest(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// Whether a client may call this checkpoint by `name`: title, file, stem, short or full hash.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        [self.title().as_str(), &self.file, self.name()].contains(&name)
            || [self.short_hash(), self.digest()].contains(&Some(name))
    }

    /// The entry of SD.Next's list. It names a checkpoint by its path without an ending.
    pub(crate) fn to_sd_next_json(&self) -> Value {
        let (filename, kind) = if self.file.starts_with("models/") {
            (self.file.clone(), "unknown")
        } else if self.folder {
            (format!("models/{}", self.file), "diffusers")
        } else {
            (format!("models/Stable-diffusion/{}", self.file), "safetensors")
        };
        json!({
            "title": self.title(), "model_name": self.name(), "filename": filename, "type": kind,
            "sha256": self.sha256, "hash": self.short_hash(), "config": null,
        })
    }

    pub(crate) fn to_json(&self, root: &str) -> Value {
        let directory = format!("{root}/models/Stable-diffusion");
        json!({
            "title": self.title(),
            "model_name": self.name(),
            "hash": self.short_hash(),
            "sha256": self.sha256,
            "filename": format!("{directory}/{}", self.file),
            "config": self.config.then(|| format!("{directory}/{}.yaml", self.name())),
        })
    }
}

impl Default for Model {
    /// The checkpoint that many installations begin with.
    fn default() -> Self {
        Self::new("v1-5-pruned-emaonly")
            .sha256("6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_answers_to_all_its_names() {
        let model = Model::default();
        for name in [
            "v1-5-pruned-emaonly.safetensors [6ce0161689]",
            "v1-5-pruned-emaonly.safetensors",
            "v1-5-pruned-emaonly",
            "6ce0161689",
            "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa",
        ] {
            assert!(model.answers_to(name), "{name}");
        }
        assert!(!model.answers_to("v1-5"));
    }

    #[test]
    fn a_checkpoint_without_a_hash_is_titled_by_its_file() {
        assert_eq!(Model::new("tiny").title(), "tiny.safetensors");
        assert_eq!(Model::new("old.ckpt").name(), "old");
    }
}
