//! Reads error answers of every shape (`docs/protocol/webui-api.md` §10 and §12).
//!
//! A1111 answers with four keys, SD.Next with five, Forge with `message` in place of `errors`, the web framework with
//! `detail` alone, older versions of Forge with plain text, a proxy with HTML, and some with nothing.

use std::borrow::Cow;

use serde_json::Value;

use crate::secrets;

/// Longer texts are cut.
pub(super) const LONGEST_TEXT: usize = 2000;

/// The content of an error answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) shape: Shape,
    /// Class of the exception, such as `OutOfMemoryError`; empty if it is not given.
    pub(super) exception: String,
    /// What went wrong, in words; may be empty.
    pub(super) text: String,
    /// The list of fields at fault, without the parts that repeat the request.
    pub(super) fields: Option<Value>,
    /// It was read in the WebUI's log, because the answer says nothing.
    pub(super) is_logged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"error", "detail", …}`: the application's own error.
    Application,
    /// `{"detail": "…"}`: the web framework's, or Forge's.
    Detail,
    /// `{"detail": […]}`: fields that did not pass validation.
    Fields,
    /// Anything else.
    Other,
}

impl Problem {
    /// Reads the body of an error answer.
    pub(super) fn read(body: &[u8]) -> Self {
        let other = |text: String| Self {
            shape: Shape::Other,
            exception: String::new(),
            text,
            fields: None,
            is_logged: false,
        };
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(mut keys)) => {
                let mut take = |key: &str| match keys.remove(key) {
                    Some(Value::String(text)) => text,
                    _ => String::new(),
                };
                // Forge has the exception's text under another key.
                let (exception, errors, message) = (shorten(&take("error")), take("errors"), take("message"));
                match keys.remove("detail") {
                    Some(Value::Array(items)) => Self::of_fields(items),
                    detail => Self {
                        shape: if !exception.is_empty() {
                            Shape::Application
                        } else if detail.is_some() {
                            Shape::Detail
                        } else {
                            Shape::Other
                        },
                        text: match detail {
                            Some(Value::String(detail)) if !detail.is_empty() => shorten(&detail),
                            _ if errors.is_empty() => shorten(&message),
                            _ => shorten(&errors),
                        },
                        exception,
                        fields: None,
                        is_logged: false,
                    },
                }
            }
            Ok(Value::String(text)) => other(shorten(&text)),
            Err(_) if body.trim_ascii_start().starts_with(b"{") => {
                other("its explanation broke off".to_owned())
            }
            _ => other(excerpt(body)),
        }
    }

    /// The exception that the WebUI has logged.
    pub(super) fn logged(exception: String, text: &str) -> Self {
        Self {
            shape: Shape::Application,
            exception,
            text: shorten(text),
            fields: None,
            is_logged: true,
        }
    }

    fn of_fields(mut items: Vec<Value>) -> Self {
        for item in &mut items {
            mask(item);
            if let Value::Object(item) = item {
                // `ctx.doc` and `input` repeat the request.
                item.remove("input");
                if let Some(Value::Object(context)) = item.get_mut("ctx") {
                    context.remove("doc");
                }
            }
        }
        let text: Vec<String> = items.iter().map(describe_field).collect();
        Self {
            shape: Shape::Fields,
            exception: String::new(),
            text: shorten(&text.join("; ")),
            fields: Some(Value::Array(items)),
            is_logged: false,
        }
    }

    /// Whether any text of the answer contains `words`, in lower case.
    pub(super) fn mentions(&self, words: &str) -> bool {
        self.text.to_lowercase().contains(words) || self.exception.to_lowercase().contains(words)
    }
}

/// Masks the WebUI's credentials in the texts of a value.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = secrets::masked(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(keys) => keys.values_mut().for_each(mask),
        _ => {}
    }
}

/// `steps: value is not a valid integer`.
fn describe_field(item: &Value) -> String {
    let message = item.get("msg").and_then(Value::as_str).unwrap_or("not accepted");
    let path: Vec<String> = item
        .get("loc")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .skip(1) // always "body"
        .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
        .collect();
    // Newer validation has the parser's own words here.
    let more = item.pointer("/ctx/error").and_then(Value::as_str);
    let message = match more {
        Some(more) => format!("{message} ({more})"),
        None => message.to_owned(),
    };
    if path.is_empty() {
        message
    } else {
        format!("{}: {message}", path.join("."))
    }
}

/// The start of a body that is not JSON, in one line; of an HTML page only the title. JSON is not shown:
/// it may hold prompts and pictures.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * LONGEST_TEXT)]);
    let text = text.trim();
    if text.starts_with(['{', '[', '"']) {
        return String::new();
    }
    if text.starts_with('<') {
        let lower = text.to_ascii_lowercase();
        let title = lower.find("<title>").and_then(|start| {
            let start = start + "<title>".len();
            let end = lower[start..].find("</title>")?;
            Some(text[start..start + end].trim())
        });
        return match title {
            Some(title) => shorten(&format!("an HTML page titled \"{title}\"")),
            None => "an HTML page".to_owned(),
        };
    }
    shorten(text)
}

/// The text without the WebUI's credentials, which it may repeat, and cut.
fn shorten(text: &str) -> String {
    let text = &secrets::masked(text);
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.as_ref().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &str) -> Problem {
        Problem::read(body.as_bytes())
    }

    #[test]
    fn a_deliberate_error_has_its_text_in_detail() {
        let problem = read(r#"{"error":"HTTPException","detail":"Sampler not found","body":"","errors":""}"#);
        assert_eq!(
            (problem.shape, problem.text.as_str()),
            (Shape::Application, "Sampler not found")
        );
        assert_eq!(problem.exception, "HTTPException");
    }

    #[test]
    fn an_unexpected_error_has_its_text_in_errors() {
        let problem = read(r#"{"error":"RuntimeError","detail":"","body":"","errors":"boom","code":500}"#);
        assert_eq!(
            (problem.shape, problem.text.as_str()),
            (Shape::Application, "boom")
        );
    }

    #[test]
    fn forge_has_the_text_under_message() {
        let problem = read(r#"{"error":"RuntimeError","detail":"","body":"","message":"boom"}"#);
        assert_eq!(
            (problem.shape, problem.text.as_str()),
            (Shape::Application, "boom")
        );
    }

    #[test]
    fn the_framework_s_own_errors_have_only_a_detail() {
        let problem = read(r#"{"detail":"Not Found"}"#);
        assert_eq!(
            (problem.shape, problem.text.as_str()),
            (Shape::Detail, "Not Found")
        );
    }

    #[test]
    fn what_repeats_the_request_is_left_out() {
        let problem = read(
            r#"{"detail":[{"loc":["body",15],"msg":"Expecting property name","type":"value_error.jsondecode",
                "input":{"prompt":"secret"},"ctx":{"doc":"{\"prompt\": \"secret\",","pos":15}}]}"#,
        );
        assert_eq!(problem.text, "15: Expecting property name");
        assert_eq!(
            problem.fields,
            Some(json!([{"loc": ["body", 15], "msg": "Expecting property name",
                "type": "value_error.jsondecode", "ctx": {"pos": 15}}]))
        );
    }

    #[test]
    fn every_bad_field_is_named_with_its_path() {
        let problem = read(
            r#"{"detail":[{"loc":["body","steps"],"msg":"value is not a valid integer"},
                {"loc":["body","styles",1],"msg":"str type expected"},{"loc":["body"],"msg":"field required"}]}"#,
        );
        assert_eq!(
            problem.text,
            "steps: value is not a valid integer; styles.1: str type expected; field required"
        );
    }

    #[test]
    fn other_servers_answer_in_other_shapes() {
        assert_eq!(read("Internal Server Error").text, "Internal Server Error");
        assert_eq!(read(r#""missing 1 argument""#).text, "missing 1 argument");
        assert_eq!(
            read(r#"{"error":"Init image is none"}"#).exception,
            "Init image is none"
        );
        assert_eq!(read("").text, "");
        assert_eq!(
            read("<html><head><TITLE>502 Bad Gateway</TITLE></head></html>").text,
            "an HTML page titled \"502 Bad Gateway\""
        );
        assert_eq!(read("<p>no").text, "an HTML page");
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let problem = Problem::read("é".repeat(5000).as_bytes());
        assert_eq!(problem.text.chars().count(), LONGEST_TEXT + 2);
    }
}
