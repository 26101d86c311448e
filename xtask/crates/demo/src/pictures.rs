//! Pictures inside a result: taking them out, and showing a result without them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Strings longer than this are not shown whole.
const LONGEST_TEXT: usize = 300;
/// What is shown of them.
const BEGINNING: usize = 120;

/// A PNG file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) bytes: Vec<u8>,
    width: u32,
    height: u32,
}

impl Picture {
    /// Decodes base64 text, if it holds a PNG file.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
        let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let (width, height) = (number(0)?, number(4)?);
        Some(Self { bytes, width, height })
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, width, height } = self;
        write!(f, "png {width}x{height}, {}", size(bytes.len()))
    }
}

/// A number of bytes, as people say it.
fn size(bytes: usize) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    if bytes < 1_000_000 {
        return format!("{} kB", (bytes + 500) / 1000);
    }
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

/// A result for the screen: pictures as `<png 512x512, 437 kB>`, long texts cut.
pub(crate) fn elided(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > LONGEST_TEXT => Value::String(short(text)),
        Value::Array(values) => values.iter().map(elided).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), elided(value)))
            .collect(),
        other => other.clone(),
    }
}

fn short(text: &str) -> String {
    if let Some(picture) = Picture::decode(text) {
        return format!("<{picture}>");
    }
    cut(text, BEGINNING)
}

/// A text's beginning and its length, if it is longer than `longest`.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{} … <{} in all>", &text[..end], size(text.len())),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let pixels: Vec<u8> = (0..width * height * 3)
            .map(|n| (n * 37 % 251).to_le_bytes()[0])
            .collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        bytes
    }

    #[test]
    fn a_picture_is_known_by_its_header() {
        let file = png(64, 32);
        let picture = Picture::decode(&STANDARD.encode(&file)).unwrap();
        assert_eq!((picture.width, picture.height), (64, 32));
        assert_eq!(picture.bytes, file);
        assert_eq!(Picture::decode("not base64!"), None);
        let cut_short = STANDARD.encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0");
        assert_eq!(Picture::decode(&cut_short), None);
    }

    #[test]
    fn a_result_is_shown_without_its_pictures() {
        let file = png(64, 32);
        let result = json!({
            "images": [STANDARD.encode(&file)],
            "parameters": { "steps": 25 },
            "info": "x".repeat(2000),
        });
        let shown = elided(&result);
        assert_eq!(shown["images"][0], format!("<png 64x32, {}>", size(file.len())));
        assert_eq!(shown["parameters"], json!({ "steps": 25 }));
        assert_eq!(shown["info"], format!("{} … <2 kB in all>", "x".repeat(120)));
    }

    #[test]
    fn sizes_are_round() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(437_499), "437 kB");
        assert_eq!(size(2_449_999), "2.4 MB");
    }
}
