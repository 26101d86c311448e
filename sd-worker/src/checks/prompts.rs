//! Checks the names in prompts: extra networks and embeddings.
//!
//! An embedding is used by its bare name, so a misspelt one is a word like any other and cannot be found. Findings are
//! the syntax of other programs, and an embedding that exists and is not loaded.

use serde_json::Value;

use super::finding::Finding;
use super::list::{List, ListEntry};
use super::lookups::Lookups;
use crate::coerce::is_true;
use crate::nearest::nearest;
use crate::splice::Object;

const PROMPTS: [&str; 4] = ["prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt"];
/// The syntax of other programs.
const FOREIGN: &str = "embedding:";

/// The names in tags such as `<lora:name:1>`, each with the field that it stands in. Tags in negative prompts are only
/// words.
pub(super) fn tags(request: &Object<'_>, kind: &str) -> Vec<(String, String)> {
    tags_in(request, kind, &["prompt", "hr_prompt"])
}

/// Findings for tags in negative prompts. What SD.Next makes of them is not known.
pub(super) async fn negative_tags(request: &Object<'_>, lookups: &Lookups<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for kind in ["lora", "lyco", "hypernet"] {
        for (field, name) in tags_in(request, kind, &["negative_prompt", "hr_negative_prompt"]) {
            found.push(Finding::negative_tag(&field, &format!("<{kind}:{name}>")));
        }
    }
    if found.is_empty() || lookups.is_sd_next().await {
        return Vec::new();
    }
    found
}

fn tags_in(request: &Object<'_>, kind: &str, fields: &[&str]) -> Vec<(String, String)> {
    if request
        .decode::<Value>("disable_extra_networks")
        .is_some_and(|off| is_true(&off))
    {
        return Vec::new();
    }
    let begin = format!("<{kind}:");
    let mut found = Vec::new();
    for field in fields {
        let prompt = request.decode::<String>(field).unwrap_or_default();
        for tag in prompt.split(begin.as_str()).skip(1) {
            let Some((inside, _)) = tag.split_once('>') else {
                continue;
            };
            let name = inside.split(':').next().unwrap_or_default().to_owned();
            found.push(((*field).to_owned(), name));
        }
    }
    found
}

/// Findings for embeddings in a foreign syntax, or that are not loaded.
pub(super) async fn embeddings(request: &Object<'_>, lookups: &Lookups<'_>) -> Vec<Finding> {
    let prompts: Vec<(&str, String)> = PROMPTS
        .iter()
        .filter_map(|field| Some((*field, request.decode(field)?)))
        .filter(|(_, prompt): &(_, String)| !prompt.is_empty())
        .collect();
    let mut found = Vec::new();
    for (field, prompt) in &prompts {
        for asked in foreign(prompt) {
            let known = lookups.list(List::Embeddings, true).await;
            let meant = known.as_ref().and_then(|known| {
                let names = known.iter().flat_map(ListEntry::names);
                nearest(asked, names.map(String::as_str))
            });
            found.push(Finding::foreign_embedding(field, asked, meant));
        }
    }
    // Which are loaded depends on the model, and this request may change it.
    let changes_model = request
        .object("override_settings")
        .is_some_and(|settings| settings.get("sd_model_checkpoint").is_some());
    if prompts.is_empty() || changes_model {
        return found;
    }
    if let Some(skipped) = lookups.list(List::SkippedEmbeddings, true).await {
        for (field, prompt) in &prompts {
            let names = skipped.iter().flat_map(ListEntry::names);
            let words = names.filter(|name| is_word(prompt, name));
            found.extend(words.map(|name| Finding::skipped_embedding(field, name)));
        }
    }
    found
}

/// The names after `embedding:`.
fn foreign(prompt: &str) -> Vec<&str> {
    let names = prompt.split(FOREIGN).skip(1).map(|rest| {
        let end = rest.find(|character: char| character.is_whitespace() || ",:()<>|".contains(character));
        &rest[..end.unwrap_or(rest.len())]
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// Whether `word` stands in the prompt as a whole word.
fn is_word(prompt: &str, word: &str) -> bool {
    let in_names = |character: char| character.is_alphanumeric() || "_-.".contains(character);
    prompt.match_indices(word).any(|(start, found)| {
        !prompt[..start].ends_with(in_names) && !prompt[start + found.len()..].starts_with(in_names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_by_their_kind() {
        let request = Object::read(
            r#"{"prompt": "a <lora:one:0.5> <hypernet:h:1> <lora:open", "negative_prompt": "<lora:no:1>", "hr_prompt": "<lora:two>"}"#,
        )
        .unwrap();
        let found = |kind| -> Vec<String> {
            let tags = tags(&request, kind).into_iter();
            tags.map(|(field, name)| format!("{field} {name}")).collect()
        };
        assert_eq!(found("lora"), ["prompt one", "hr_prompt two"]);
        assert_eq!(found("hypernet"), ["prompt h"]);
        let off = Object::read(r#"{"prompt": "<lora:one:1>", "disable_extra_networks": true}"#).unwrap();
        assert!(tags(&off, "lora").is_empty());
    }

    #[test]
    fn the_form_of_other_programs_is_read_up_to_the_name_s_end() {
        assert_eq!(
            foreign("a, (embedding:easy-neg:1.2), embedding:bad.v2 b"),
            ["easy-neg", "bad.v2"]
        );
        assert!(foreign("embedding: x, an embedding").is_empty());
    }

    #[test]
    fn a_name_inside_another_is_not_meant() {
        assert!(is_word("a (easyneg:1.1) b", "easyneg") && is_word("easyneg", "easyneg"));
        assert!(!is_word("easyneg2, my-easyneg", "easyneg"));
    }
}
