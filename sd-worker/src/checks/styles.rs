//! Checks that saved styles are in the prompts. The document repeats their names in any case; only the used prompts show
//! whether they were applied.

use serde_json::Value;

use super::finding::Finding;
use super::list::{List, ListEntry};
use super::lookups::Lookups;
use super::reported::ReportedParameters;
use crate::splice::Object;

/// Characters that the WebUI or its extensions may have replaced.
const ACTIVE: &[char] = &['{', '}', '<', '>', '#', '|', '['];

pub(super) async fn missing(
    request: &Object<'_>,
    reported: &ReportedParameters,
    lookups: &Lookups<'_>,
) -> Vec<Finding> {
    let asked: Vec<String> = request.decode("styles").unwrap_or_default();
    let mut found = Vec::new();
    for name in asked {
        let style = lookups.find(List::Styles, &name).await;
        let texts = style.as_ref().and_then(ListEntry::style);
        if texts.is_some_and(|texts| !came_in(texts, reported)) {
            found.push(Finding::other("styles", name, Value::Null));
        }
    }
    found
}

fn came_in(style: &Value, reported: &ReportedParameters) -> bool {
    ["prompt", "negative_prompt"].iter().all(|field| {
        let used = reported.info(field).as_str().unwrap_or_default();
        let text = style[field].as_str().unwrap_or_default();
        pieces(text).iter().all(|piece| used.contains(piece))
    })
}

/// The parts of a style around its prompt that arrive unchanged.
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
