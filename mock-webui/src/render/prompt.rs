//! What happens to prompts before they are rendered: styles, comments, `LoRA` tags.

use crate::request::Fields;
use crate::server::Server;

/// Prompt and negative prompt with the request's styles applied and its comments removed.
pub(crate) fn prepare(server: &Server, fields: &Fields, prompt: &str, negative: &str) -> (String, String) {
    let (mut prompt, mut negative) = (prompt.to_owned(), negative.to_owned());
    for name in fields.list("styles") {
        let known = server
            .setup()
            .installed
            .styles
            .iter()
            .find(|style| name.as_str() == Some(style.name()));
        if let Some(style) = known {
            (prompt, negative) = style.apply(&prompt, &negative);
        }
    }
    if server.settings().flag("enable_prompt_comments") {
        (prompt, negative) = (without_comments(&prompt), without_comments(&negative));
    }
    (prompt, negative)
}

/// Removes comments: first those that fill a line, then those to the end of a line. A line break takes the place of
/// each.
fn without_comments(text: &str) -> String {
    if !text.contains('#') {
        return text.to_owned();
    }
    let without_lines = replaced(text, |rest, first| {
        if first && rest.starts_with('#') {
            Some(0)
        } else {
            rest.find("\n#")
        }
    });
    replaced(&without_lines, |rest, _| rest.find('#'))
}

/// Replaces each comment that `find` finds, up to the end of its line. `find` is also given whether it looks at the
/// beginning of the text.
fn replaced(text: &str, find: impl Fn(&str, bool) -> Option<usize>) -> String {
    let (mut kept, mut rest, mut first) = (String::new(), text, true);
    while let Some(at) = find(rest, first) {
        kept.push_str(&rest[..at]);
        kept.push('\n');
        let comment = rest[at..].strip_prefix('\n').unwrap_or(&rest[at..]);
        rest = comment.split_once('\n').map_or("", |(_, after)| after);
        first = false;
    }
    kept.push_str(rest);
    kept
}

/// A prompt split into its text and its `<lora:name:weight>` tags.
pub(crate) fn split_loras(prompt: &str) -> (String, Vec<(String, String)>) {
    let (mut text, mut loras) = (String::new(), Vec::new());
    let mut rest = prompt;
    while let Some((before, tail)) = rest.split_once("<lora:") {
        let Some((tag, after)) = tail.split_once('>') else {
            break;
        };
        text.push_str(before);
        let (name, weight) = tag.split_once(':').unwrap_or((tag, "1"));
        loras.push((name.to_owned(), weight.to_owned()));
        rest = after;
    }
    text.push_str(rest);
    (text, loras)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_to_the_end_of_their_line() {
        assert_eq!(
            without_comments("a cat # not a dog\n# nothing\non a mat"),
            "a cat \non a mat"
        );
        assert_eq!(without_comments("no comment"), "no comment");
        assert_eq!(without_comments("a cat # x"), "a cat \n");
        assert_eq!(without_comments("# x\na cat"), "\na cat");
    }

    #[test]
    fn lora_tags_are_told_from_text() {
        let (text, loras) = split_loras("a <lora:x:0.5> cat<lora:y>");
        assert_eq!(text, "a  cat");
        assert_eq!(
            loras,
            [
                ("x".to_owned(), "0.5".to_owned()),
                ("y".to_owned(), "1".to_owned())
            ]
        );
        assert_eq!(split_loras("a <lora:open").0, "a <lora:open");
    }
}
