//! Reading an infotext: the text that describes one picture (§6).

/// An infotext taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) prompt: String,
    pub(crate) negative: String,
    /// Entries of the last line in their order; a value like `512x768` becomes two, `Size-1` and `Size-2`.
    pub(crate) entries: Vec<(String, String)>,
}

impl Parsed {
    pub(crate) fn entry(&self, name: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads an infotext as the server does: a last line with fewer than three entries is part of the prompt.
pub(crate) fn parse(text: &str) -> Parsed {
    let mut lines: Vec<&str> = text.trim().lines().collect();
    let mut pairs = lines.pop().map(entries).unwrap_or_default();
    if pairs.len() < 3 {
        lines = text.trim().lines().collect();
        pairs = Vec::new();
    }
    let mut parsed = Parsed::default();
    let mut negative = false;
    for line in lines {
        let mut line = line.trim();
        if let Some(rest) = line.strip_prefix("Negative prompt:") {
            negative = true;
            line = rest.trim();
        }
        let target = if negative {
            &mut parsed.negative
        } else {
            &mut parsed.prompt
        };
        if !target.is_empty() {
            target.push('\n');
        }
        target.push_str(line);
    }
    for (name, value) in pairs {
        let size = value.split_once('x').filter(|(width, height)| {
            [width, height]
                .iter()
                .all(|side| !side.is_empty() && side.bytes().all(|byte| byte.is_ascii_digit()))
        });
        match size {
            Some((width, height)) => {
                parsed.entries.push((format!("{name}-1"), width.to_owned()));
                parsed.entries.push((format!("{name}-2"), height.to_owned()));
            }
            None => parsed.entries.push((name, value)),
        }
    }
    parsed
}

/// The `name: value` pairs of a line. A value in quotes may hold commas.
fn entries(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = line.trim();
    while let Some((name, tail)) = rest.split_once(':') {
        let name = name.trim();
        let legal = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '/' | '_');
        if name.is_empty() || !name.chars().all(legal) {
            break;
        }
        let tail = tail.trim_start();
        let mut quoted = serde_json::Deserializer::from_str(tail).into_iter::<String>();
        let (value, end) = match quoted.next() {
            Some(Ok(text)) if tail.starts_with('"') => (text, quoted.byte_offset()),
            _ => {
                let end = tail.find(',').unwrap_or(tail.len());
                (tail[..end].trim().to_owned(), end)
            }
        };
        found.push((name.to_owned(), value));
        rest = tail[end..].trim_start().trim_start_matches(',').trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_into_prompts_and_entries() {
        let parsed = parse(
            "a cat\non a mat\nNegative prompt: dog\nbird\nSteps: 20, Sampler: DPM++ 2M, Size: 512x768, \
             Lora hashes: \"x: 1, y: 2\", Version: v1.10.1",
        );
        assert_eq!(
            (parsed.prompt.as_str(), parsed.negative.as_str()),
            ("a cat\non a mat", "dog\nbird")
        );
        assert_eq!(parsed.entry("Sampler"), Some("DPM++ 2M"));
        assert_eq!(
            (parsed.entry("Size-1"), parsed.entry("Size-2")),
            (Some("512"), Some("768"))
        );
        assert_eq!(parsed.entry("Lora hashes"), Some("x: 1, y: 2"));
        assert_eq!(parsed.entry("Version"), Some("v1.10.1"));
    }

    #[test]
    fn a_text_without_entries_is_all_prompt() {
        let parsed = parse("a cat, sitting: still");
        assert_eq!(
            (parsed.prompt.as_str(), parsed.entries.len()),
            ("a cat, sitting: still", 0)
        );
    }
}
