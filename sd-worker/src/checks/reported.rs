//! The parameters that an answer reports: the document `info`, and the infotext of its first picture
//! (`docs/protocol/webui-api.md` §6).

use serde_json::Value;

use crate::splice::Object;

/// The parameters that an answer reports of its render.
#[derive(Debug)]
pub(super) struct ReportedParameters {
    info: Value,
    infotext: String,
}

impl ReportedParameters {
    /// Reads an answer. `None` without the document: then nothing can be compared.
    pub(super) fn read(answer: &Object<'_>) -> Option<Self> {
        let info = answer.decode::<String>("info")?;
        let info: Value = serde_json::from_str(&info).ok()?;
        let mut reported = Self {
            info,
            infotext: String::new(),
        };
        let infotext = reported.info["infotexts"][reported.grids()].as_str();
        reported.infotext = infotext.unwrap_or_default().to_owned();
        Some(reported)
    }

    /// A value of the document; null for one that is not there.
    pub(super) fn info(&self, key: &str) -> &Value {
        &self.info[key]
    }

    /// The number of grids before the first picture.
    pub(super) fn grids(&self) -> usize {
        let first = self.info["index_of_first_image"].as_u64();
        first
            .and_then(|first| usize::try_from(first).ok())
            .unwrap_or_default()
    }

    /// The number of pictures that are described, grids included. Maps and masks that come beside them are not.
    pub(super) fn described(&self) -> Option<usize> {
        self.info["infotexts"].as_array().map(Vec::len)
    }

    /// Whether SD.Next answers. It reports less than the others, so what it does not report says nothing.
    pub(super) fn is_of_sd_next(&self) -> bool {
        self.entry("App").as_deref() == Some("SD.Next")
    }

    /// Whether a script or a unit has added a parameter whose name begins so.
    pub(super) fn has_parameter(&self, start: &str) -> bool {
        let added = self.info["extra_generation_params"].as_object();
        let mut added = added.into_iter().flatten();
        added.any(|(key, value)| key.starts_with(start) && !value.is_null())
            || entries(&self.infotext).any(|(key, _)| key.starts_with(start))
    }

    /// A parameter that a pass or a script has added. Those that differ between pictures stand in the infotext alone.
    pub(super) fn parameter(&self, key: &str) -> Option<String> {
        match &self.info["extra_generation_params"][key] {
            Value::Null => self.entry(key),
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// An entry of the infotext.
    pub(super) fn entry(&self, key: &str) -> Option<String> {
        entry(&self.infotext, key)
    }
}

/// An entry of an infotext's last line.
fn entry(infotext: &str, key: &str) -> Option<String> {
    entries(infotext)
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// The entries of an infotext's last line. Values with commas or colons are in quotes.
fn entries(infotext: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = infotext.lines().next_back().unwrap_or_default();
    std::iter::from_fn(move || {
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
        rest = next;
        Some((name, value))
    })
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
    fn the_report_of_the_first_picture_stands_behind_the_grids() {
        let answer = r#"{"info": "{\"index_of_first_image\": 1, \"extra_generation_params\": {\"Hires upscale\": 2.0}, \"infotexts\": [\"Steps: 1\", \"Steps: 2, Refiner: x\"]}"}"#;
        let reported = ReportedParameters::read(&Object::read(answer).unwrap()).unwrap();
        assert_eq!(reported.entry("Steps").as_deref(), Some("2"));
        assert_eq!(reported.parameter("Refiner").as_deref(), Some("x"));
        assert_eq!(reported.parameter("Hires upscale").as_deref(), Some("2.0"));
        assert!(ReportedParameters::read(&Object::read(r#"{"images": []}"#).unwrap()).is_none());
    }
}
