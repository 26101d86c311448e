//! Mistakes that people make in JSON that they write by hand, in plain words.

/// Why `text` is no `kind`. Names what was written for what JSON has: Python's words and quotes, comments, a comma too
/// many, quotes that a shell has taken away. The parser's own words where nothing of this is found.
pub(super) fn explain(text: &str, kind: &str, error: &serde_json::Error) -> String {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    match find(text).filter(|_| !is_json) {
        Some((at, slip)) => {
            let before = &text[..at];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("not {kind}: {slip} (line {line}, column {column})")
        }
        None => format!("not {kind}: {error}"),
    }
}

/// The first slip outside of a text in double quotes, and its place in bytes.
fn find(text: &str) -> Option<(usize, String)> {
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        if next == '"' {
            at += text_in_quotes(rest);
            continue;
        }
        if let Some(slip) = slip_at(rest, !text.contains('"')) {
            return Some((at, slip));
        }
        let word = rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len());
        at += word.max(next.len_utf8());
    }
    None
}

/// The slip that `rest` begins with.
fn slip_at(rest: &str, unquoted: bool) -> Option<String> {
    let next = rest.chars().next()?;
    let word = &rest[..rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len())];
    let python = |json| Some(format!("`{word}` is Python's; JSON has `{json}`"));
    match (next, word) {
        (_, "True") => python("true"),
        (_, "False") => python("false"),
        (_, "None") => python("null"),
        (_, "NaN" | "Infinity" | "undefined") => Some(format!("JSON has no `{word}`")),
        ('\'', _) => Some("single quotes, as Python writes them; JSON has double ones".to_owned()),
        ('\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}', _) => {
            Some("quotes of a text program; JSON has \"plain double ones\"".to_owned())
        }
        ('#', _) => Some("a comment; JSON has none".to_owned()),
        ('/', _) if rest.starts_with("//") || rest.starts_with("/*") => {
            Some("a comment; JSON has none".to_owned())
        }
        (',', _) => {
            let after = rest[1..].trim_start().chars().next();
            after
                .filter(|after| matches!(after, '}' | ']'))
                .map(|after| format!("a comma before `{after}`"))
        }
        (letter, _) if unquoted && letter.is_alphabetic() && !matches!(word, "true" | "false" | "null") => {
            Some(
                "there are no double quotes; a shell takes them away unless the whole is in single ones"
                    .to_owned(),
            )
        }
        _ => None,
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of the text in double quotes that `rest` begins with.
fn text_in_quotes(rest: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(text: &str) -> String {
        let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
        explain(text, "a JSON object", &error)
    }

    #[test]
    fn each_slip_is_named_as_what_it_is_with_its_place() {
        for (text, slip) in [
            (
                "{\"input\": True}",
                "`True` is Python's; JSON has `true` (line 1, column 11)",
            ),
            (
                "{\"a\": [1, False]}",
                "`False` is Python's; JSON has `false` (line 1, column 11)",
            ),
            (
                "{\n \"a\": None}",
                "`None` is Python's; JSON has `null` (line 2, column 7)",
            ),
            ("{\"a\": NaN}", "JSON has no `NaN` (line 1, column 7)"),
            (
                "{'a': 1}",
                "single quotes, as Python writes them; JSON has double ones (line 1, column 2)",
            ),
            (
                "{\"é\": 'x'}",
                "single quotes, as Python writes them; JSON has double ones (line 1, column 7)",
            ),
            (
                "{\u{201c}a\u{201d}: 1}",
                "quotes of a text program; JSON has \"plain double ones\" (line 1, column 2)",
            ),
            ("{\"a\": 1} # one", "a comment; JSON has none (line 1, column 10)"),
            (
                "{\n// one\n\"a\": 1}",
                "a comment; JSON has none (line 2, column 1)",
            ),
            (
                "{\"a\": 1 /* one */}",
                "a comment; JSON has none (line 1, column 9)",
            ),
            ("{\"a\": [1, 2,\n]}", "a comma before `]` (line 1, column 12)"),
            (
                "{input: {name: x}}",
                "there are no double quotes; a shell takes them away unless the whole is in single ones \
                 (line 1, column 2)",
            ),
        ] {
            assert_eq!(explained(text), format!("not a JSON object: {slip}"));
        }
    }

    #[test]
    fn what_stands_in_a_text_is_no_slip() {
        let text = "{\"a\": \"it's # True, \\\"None\\\" // [1,]\", \"b\": tru}";
        assert_eq!(
            explained(text),
            "not a JSON object: expected ident at line 1 column 48"
        );
        assert_eq!(
            explained("{\"a\": \"open"),
            "not a JSON object: EOF while parsing a string at line 1 column 11"
        );
    }
}
