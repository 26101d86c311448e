//! What an answer says of itself: the document `info`, and the text of its first picture
//! (`docs/protocol/webui-api.md` §6).

use serde_json::Value;

use crate::splice::Object;

#[derive(Debug)]
pub(super) struct Told {
    info: Value,
    infotext: String,
}

impl Told {
    /// `None` for an answer without the document: then nothing can be compared.
    pub(super) fn read(answer: &Object<'_>) -> Option<Self> {
        let info = answer.decode::<String>("info")?;
        let info: Value = serde_json::from_str(&info).ok()?;
        let mut told = Self {
            info,
            infotext: String::new(),
        };
        let infotext = told.info["infotexts"][told.grids()].as_str();
        told.infotext = infotext.unwrap_or_default().to_owned();
        Some(told)
    }

    /// A value of the document; null for one that is not there.
    pub(super) fn info(&self, key: &str) -> &Value {
        &self.info[key]
    }

    /// How many grids come before the first picture.
    pub(super) fn grids(&self) -> usize {
        let first = self.info["index_of_first_image"].as_u64();
        first
            .and_then(|first| usize::try_from(first).ok())
            .unwrap_or_default()
    }

    /// What a pass or a script has added to the parameters. Those that differ from picture to picture stand in the
    /// text alone.
    pub(super) fn parameter(&self, key: &str) -> Option<String> {
        match &self.info["extra_generation_params"][key] {
            Value::Null => self.entry(key),
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// An entry of the text.
    pub(super) fn entry(&self, key: &str) -> Option<String> {
        entry(&self.infotext, key)
    }
}

/// An entry of an infotext's last line. Values with commas or colons are in quotes.
fn entry(infotext: &str, key: &str) -> Option<String> {
    let line = infotext.lines().next_back()?;
    let mut rest = line;
    while !rest.is_empty() {
        let (name, after) = rest.split_once(": ")?;
        let (value, next) = if after.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = texts.next()?.ok()?;
            let end = texts.byte_offset();
            (value, after[end..].trim_start_matches(", "))
        } else {
            let (value, next) = after.split_once(", ").unwrap_or((after, ""));
            (value.to_owned(), next)
        };
        if name == key {
            return Some(value);
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infotext_is_read_entry_by_entry() {
        let text = "a cat, Schedule type: no\nNegative prompt: x\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras, \
            Lora hashes: \"a: 1, b: 2\", Version: v1.10.1";
        assert_eq!(entry(text, "Schedule type").as_deref(), Some("Karras"));
        assert_eq!(entry(text, "Lora hashes").as_deref(), Some("a: 1, b: 2"));
        assert_eq!(entry(text, "Version").as_deref(), Some("v1.10.1"));
        assert_eq!(entry(text, "VAE"), None);
    }

    #[test]
    fn what_is_told_of_the_first_picture_stands_behind_the_grids() {
        let answer = r#"{"info": "{\"index_of_first_image\": 1, \"extra_generation_params\": {\"Hires upscale\": 2.0}, \"infotexts\": [\"Steps: 1\", \"Steps: 2, Refiner: x\"]}"}"#;
        let told = Told::read(&Object::read(answer).unwrap()).unwrap();
        assert_eq!(told.entry("Steps").as_deref(), Some("2"));
        assert_eq!(told.parameter("Refiner").as_deref(), Some("x"));
        assert_eq!(told.parameter("Hires upscale").as_deref(), Some("2.0"));
        assert!(Told::read(&Object::read(r#"{"images": []}"#).unwrap()).is_none());
    }
}
