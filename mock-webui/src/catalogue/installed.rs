//! The files of the imitated installation other than checkpoints.

use serde_json::{Value, json};

use super::model::Model;

/// Everything on the imitated disk that lists show.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) models: Vec<Model>,
    /// File names of VAE weights.
    pub(crate) vaes: Vec<String>,
    pub(crate) loras: Vec<Lora>,
    pub(crate) styles: Vec<Style>,
    pub(crate) embeddings: Vec<String>,
    /// Made for another kind of model than the one in use.
    pub(crate) skipped_embeddings: Vec<String>,
    pub(crate) hypernetworks: Vec<String>,
    /// File names of ControlNet weights. The extension is installed when there are any.
    pub(crate) controlnets: Vec<String>,
}

impl Default for Installed {
    fn default() -> Self {
        Self {
            models: vec![Model::default()],
            vaes: Vec::new(),
            loras: Vec::new(),
            styles: Vec::new(),
            embeddings: Vec::new(),
            skipped_embeddings: Vec::new(),
            hypernetworks: Vec::new(),
            controlnets: Vec::new(),
        }
    }
}

/// A saved style: texts that a request adds to its prompts by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    name: String,
    prompt: String,
    negative_prompt: String,
}

impl Style {
    /// A style. Where a text contains `{prompt}`, the request's own prompt takes that place; else the text
    /// is appended after a comma.
    pub fn new(
        name: impl Into<String>,
        prompt: impl Into<String>,
        negative_prompt: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            prompt: prompt.into(),
            negative_prompt: negative_prompt.into(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn apply(&self, prompt: &str, negative: &str) -> (String, String) {
        (
            merge(&self.prompt, prompt),
            merge(&self.negative_prompt, negative),
        )
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "name": self.name, "prompt": self.prompt, "negative_prompt": self.negative_prompt })
    }

    /// The entry of SD.Next's list, by its public source. The folder is that of its settings.
    pub(crate) fn to_sd_next_json(&self) -> Value {
        let mut entry = self.to_json();
        entry["extra"] = json!("");
        entry["filename"] = json!(format!("models/styles/{}.json", self.name));
        entry["preview"] = Value::Null;
        entry
    }
}

fn merge(style: &str, prompt: &str) -> String {
    if style.contains("{prompt}") {
        return style.replace("{prompt}", prompt);
    }
    let parts = [prompt.trim(), style.trim()];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// A `LoRA` file, applied by `<lora:name:weight>` in a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lora {
    name: String,
    /// Null on a server that computes none.
    hash: Option<String>,
}

impl Lora {
    /// A `LoRA` with the short hash (12 hexadecimal digits) that infotexts show.
    pub fn new(name: impl Into<String>, hash: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            hash: Some(hash.into()),
        }
    }

    /// A `LoRA` that the server has no hash of, as with `--no-hashing`: it is applied, and infotexts do not show it.
    pub fn without_hash(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            hash: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }

    pub(crate) fn to_json(&self, root: &str) -> Value {
        json!({
            "name": self.name,
            "alias": self.name,
            "path": format!("{root}/models/Lora/{}.safetensors", self.name),
            "metadata": {},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_takes_the_prompt_in_or_follows_it() {
        let around = Style::new("a", "photo of {prompt}, sharp", "");
        assert_eq!(
            around.apply("a cat", "dark"),
            ("photo of a cat, sharp".to_owned(), "dark".to_owned())
        );
        let after = Style::new("b", "sharp", "blurry");
        assert_eq!(
            after.apply("a cat", ""),
            ("a cat, sharp".to_owned(), "blurry".to_owned())
        );
        assert_eq!(after.apply("", "").0, "sharp");
    }
}
