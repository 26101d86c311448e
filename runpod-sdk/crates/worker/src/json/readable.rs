//! Rewrites serde's decoding errors in terms of JSON types instead of Rust types.
//!
//! `invalid type: string "wide", expected u32 at line 1 column 25` does not help a caller who writes JavaScript, and
//! it would quote a whole picture.

use runpod_protocol::nearest;

/// The most characters of a message in another form that are passed on.
const LONGEST: usize = 300;
/// The most characters of a path: its keys come from the caller.
const LONGEST_PATH: usize = 100;
/// The most characters of a caller's value that are quoted.
const QUOTED: usize = 40;

/// A decoding error as the sender of the text reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReadableError {
    pub(crate) path: String,
    pub(crate) problem: String,
    pub(crate) hint: Option<String>,
}

impl ReadableError {
    /// Rewrites an error of serde. `path` is the field at which decoding stopped.
    pub(crate) fn of(path: &str, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let path = cut(path, LONGEST_PATH);
        Self::read(&path, text.strip_suffix(&place).unwrap_or(&text))
    }

    fn read(path: &str, message: &str) -> Self {
        let at = |path: &str, problem: String| Self {
            path: path.to_owned(),
            problem,
            hint: None,
        };
        if let Some(field) = message.strip_prefix("missing field ") {
            return at(&join(path, unquoted(field)), "required, and missing".to_owned());
        }
        if let Some(field) = message.strip_prefix("duplicate field ") {
            return at(&join(path, unquoted(field)), "given twice".to_owned());
        }
        if let Some((field, known)) = named(message, "unknown field ") {
            let mut plain = at(&join(path, &field), "unknown field".to_owned());
            plain.hint = hint(nearest(&field, known.iter().map(String::as_str)), &known);
            return plain;
        }
        if let Some((name, known)) = named(message, "unknown variant ") {
            let mut plain = at(path, format!("unknown value {}", super::excerpt(&name)));
            plain.hint = hint(nearest(&name, known.iter().map(String::as_str)), &known);
            return plain;
        }
        let wrong = message
            .strip_prefix("invalid type: ")
            .or_else(|| message.strip_prefix("invalid value: "));
        if let Some((found, expected)) = wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
            return at(
                path,
                format!("expected {}, found {}", type_name(expected), value(found)),
            );
        }
        if let Some((length, expected)) = message
            .strip_prefix("invalid length ")
            .and_then(|rest| rest.split_once(", expected "))
        {
            return at(
                path,
                format!("expected {}, found {length} elements", type_name(expected)),
            );
        }
        if message == "expected value" {
            // serde says this of an enum that gets a number.
            return at(path, "a value of another type is expected".to_owned());
        }
        at(path, cut(message, LONGEST))
    }
}

fn join(path: &str, field: &str) -> String {
    let field = cut(field, QUOTED);
    // serde's path may include the field already.
    if path == field
        || path
            .strip_suffix(&*field)
            .is_some_and(|before| before.ends_with('.'))
    {
        return path.to_owned();
    }
    if path.is_empty() {
        field
    } else {
        format!("{path}.{field}")
    }
}

/// Reads the unknown name and the known ones out of a message that begins with `start`.
fn named(message: &str, start: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix(start)?;
    let (name, known) = rest
        .rsplit_once(", expected ")
        .or_else(|| rest.rsplit_once(", there are "))?;
    let known = known.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((unquoted(name).to_owned(), known))
}

/// A hint: the name that was probably meant, and the list of known names.
pub(crate) fn hint(meant: Option<&str>, known: &[String]) -> Option<String> {
    let list = match known {
        [] => return None,
        [_] if meant.is_some() => String::new(),
        [only] => format!("the only one is {only}"),
        _ => format!("one of: {}", known.join(", ")),
    };
    let list = cut(&list, LONGEST);
    Some(match meant {
        Some(meant) => format!("did you mean {meant:?}? {list}").trim_end().to_owned(),
        None => list,
    })
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('`')
}

/// The JSON name of a type of Rust or serde. Other texts come from a custom `Visitor` and stay as they are.
fn type_name(expected: &str) -> String {
    let name = match expected {
        "u8" => "integer from 0 to 255",
        "u16" => "integer from 0 to 65535",
        "u32" => "integer from 0 to 4294967295",
        "u64" | "u128" | "usize" => "integer from 0",
        "i8" => "integer from -128 to 127",
        "i16" => "integer from -32768 to 32767",
        "i32" => "integer from -2147483648 to 2147483647",
        "i64" | "i128" | "isize" => "integer",
        "f32" | "f64" => "number",
        "a string" | "a borrowed string" | "string" | "a character" | "identifier" => "string",
        "a boolean" => "boolean",
        "a map" | "map" => "object",
        "a sequence" | "sequence" => "array",
        "unit" => "null",
        other => {
            return match other.split(' ').next() {
                Some("struct" | "internally" | "adjacently") => "object".to_owned(),
                Some("tuple") => "array".to_owned(),
                Some("enum" | "string or map") => "string or object".to_owned(),
                _ => cut(other, LONGEST),
            };
        }
    };
    name.to_owned()
}

/// The JSON type of the value that was found, with the start of the value.
fn value(found: &str) -> String {
    for (rust, json) in [
        ("integer ", "number "),
        ("floating point ", "number "),
        ("boolean ", "boolean "),
    ] {
        if let Some(value) = found.strip_prefix(rust) {
            return format!("{json}{}", cut(unquoted(value), QUOTED));
        }
    }
    if let Some(text) = found.strip_prefix("string ") {
        let inner = text.trim_matches('"');
        return format!("string \"{}\"", cut(inner, QUOTED));
    }
    match found {
        "map" => "object".to_owned(),
        "sequence" => "array".to_owned(),
        "unit" => "null".to_owned(),
        other => cut(other, QUOTED),
    }
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::super::RawJson;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "lowercase")]
    #[expect(dead_code, reason = "only decoded")]
    struct Input {
        prompt: String,
        #[serde(default)]
        steps: u8,
        #[serde(default)]
        sizes: Vec<f32>,
        #[serde(default)]
        style: Style,
        #[serde(default)]
        inner: Option<Box<Self>>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Style {
        #[default]
        Oil,
        Pencil,
    }

    fn problem(input: Value) -> String {
        let plain = RawJson::from(input).decode::<Input>().unwrap_err().readable();
        let hint = plain.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}: {}{hint}", plain.path, plain.problem)
    }

    #[test]
    fn types_have_their_names_in_json() {
        let lines = [
            json!({ "prompt": 7 }),
            json!({ "prompt": null }),
            json!({ "prompt": "a", "steps": "many" }),
            json!({ "prompt": "a", "steps": 256 }),
            json!({ "prompt": "a", "steps": -1 }),
            json!({ "prompt": "a", "steps": true }),
            json!({ "prompt": "a", "steps": 1.5 }),
            json!({ "prompt": "a", "sizes": [1, 2, {}] }),
            json!({ "prompt": "a", "sizes": {} }),
            json!({ "prompt": "a", "style": "pencl" }),
            json!({ "prompt": "a", "style": 1 }),
            json!({ "prompt": "a", "inner": {} }),
            json!({ "prompt": "a", "inner": { "promt": "b" } }),
            json!("a cat"),
            json!({}),
        ];
        insta::assert_snapshot!(lines.map(problem).join("\n"));
    }

    #[test]
    fn a_picture_in_the_wrong_place_is_not_echoed() {
        let picture = "iVBORw0KGgo".repeat(100_000);
        for input in [
            json!({ "prompt": "a", "steps": picture }),
            json!({ "prompt": "a", "style": picture }),
            json!(picture),
        ] {
            assert!(problem(input).len() < 300);
        }
        let mut input = json!({ "prompt": "a" });
        input[&picture] = 1.into();
        assert!(problem(input).len() < 300);
    }
}
