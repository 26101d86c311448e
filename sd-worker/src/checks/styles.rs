//! Whether saved styles came into the prompts. The document repeats their names whatever became of them; only the
//! prompts that were used tell.

use serde_json::Value;

use super::catalogue::{Catalogue, Entry, List};
use super::finding::Finding;
use super::told::Told;
use crate::splice::Object;

/// Characters with a meaning for the WebUI or for its extensions, which may have been replaced since.
const ACTIVE: &[char] = &['{', '}', '<', '>', '#', '|', '['];

pub(super) async fn missing(request: &Object<'_>, told: &Told, catalogue: &Catalogue) -> Vec<Finding> {
    let asked: Vec<String> = request.decode("styles").unwrap_or_default();
    let mut found = Vec::new();
    for name in asked {
        let style = catalogue.find(List::Styles, &name).await;
        let texts = style.as_ref().and_then(Entry::style);
        if texts.is_some_and(|texts| !came_in(texts, told)) {
            found.push(Finding::other("styles", name, Value::Null));
        }
    }
    found
}

fn came_in(style: &Value, told: &Told) -> bool {
    ["prompt", "negative_prompt"].iter().all(|field| {
        let used = told.info(field).as_str().unwrap_or_default();
        let text = style[field].as_str().unwrap_or_default();
        pieces(text).iter().all(|piece| used.contains(piece))
    })
}

/// The parts of a style around the prompt that it takes in, as far as they arrive as they are.
fn pieces(text: &str) -> Vec<&str> {
    text.split("{prompt}")
        .map(|piece| piece.trim().trim_matches(',').trim())
        .filter(|piece| !piece.is_empty() && !piece.contains(ACTIVE) && !piece.contains("__"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_has_pieces_around_the_prompt() {
        assert_eq!(pieces("photo of {prompt}, sharp"), ["photo of", "sharp"]);
        assert_eq!(pieces("{prompt}"), [""; 0]);
        assert_eq!(pieces("sharp"), ["sharp"]);
        assert_eq!(
            pieces("{a|b} of {prompt}, __place__"),
            [""; 0],
            "extensions replace these"
        );
    }
}
