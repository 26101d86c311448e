//! From the bytes of a body to checked fields, in the server's order of checks (§10).

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

use super::coerce::{Kind, coerce};
use super::field::{Field, Fields};
use super::newer::newer;
use crate::answer::{Answer, Failure, problem};
use crate::json;
use crate::profile::Profile;

/// A body after the syntax check, before authentication and validation.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Missing,
    Json(Value),
    /// The content type is not JSON: the framework hands the bytes on, and validation refuses them.
    Bytes(String),
}

impl Body {
    /// Reads the bytes. Fails on bad UTF-8 (400) and bad JSON (422).
    pub(crate) fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.is_empty() {
            return Ok(Self::Missing);
        }
        if !is_json(headers) {
            return Ok(Self::Bytes(String::from_utf8_lossy(bytes).into_owned()));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            let answer = Answer::detail(StatusCode::BAD_REQUEST, "There was an error parsing the body");
            return Err(Failure::Ready(Box::new(answer)));
        };
        json::parse(text.trim_start_matches('\u{feff}'))
            .map(Self::Json)
            .map_err(|error| Failure::Invalid(vec![syntax_problem(&error, text)]))
    }

    /// Checks the body against a table of fields.
    pub(crate) fn check(self, table: &[Field], profile: Profile) -> Result<Fields, Failure> {
        let original = if profile.validates_strictly() {
            self.clone()
        } else {
            Self::Missing
        };
        let checked = self
            .strict(profile)
            .and_then(Self::object)
            .and_then(|body| Fields::check(table, profile, body).map_err(Failure::Invalid));
        checked.map_err(|failure| original.reworded(failure, profile))
    }

    /// The failure in the words of this version.
    pub(crate) fn reworded(&self, failure: Failure, profile: Profile) -> Failure {
        let body = match self {
            Self::Json(body) => body,
            Self::Bytes(text) => &Value::from(text.as_str()),
            Self::Missing => &Value::Null,
        };
        match failure {
            Failure::Invalid(problems) if profile.validates_strictly() => {
                let newer = |problem| newer(problem, body, profile.is_forge());
                Failure::Invalid(problems.iter().map(newer).collect())
            }
            failure => failure,
        }
    }

    /// The newer validation does not read a list as an object.
    fn strict(self, profile: Profile) -> Result<Self, Failure> {
        match self {
            Self::Json(Value::Array(_)) if profile.validates_strictly() => {
                let text = "value is not a valid dict";
                let list = problem(&[json!("body")], text, "type_error.dict");
                Err(Failure::Invalid(vec![list]))
            }
            body => Ok(body),
        }
    }

    /// The body as an object, for routes that take any keys.
    pub(crate) fn any_object(self, profile: Profile) -> Result<Map<String, Value>, Failure> {
        let original = self.clone();
        let object = self.strict(profile).and_then(Self::object);
        object.map_err(|failure| original.reworded(failure, profile).of_any_object())
    }

    /// The body as an object.
    fn object(self) -> Result<Map<String, Value>, Failure> {
        let location = [json!("body")];
        let value = match self {
            Self::Missing | Self::Json(Value::Null) => {
                let missing = problem(&location, "field required", "value_error.missing");
                return Err(Failure::Invalid(vec![missing]));
            }
            Self::Json(value) => value,
            Self::Bytes(text) => Value::from(text),
        };
        let mut problems = Vec::new();
        match coerce(Kind::Object, value, &location, &mut problems) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(Failure::Invalid(problems)),
        }
    }
}

/// An absent or empty content type counts as JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.is_empty()
        || essence
            .strip_prefix("application/")
            .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

fn syntax_problem(error: &json::SyntaxError, document: &str) -> Value {
    let json::SyntaxError {
        message,
        position,
        line,
        column,
    } = *error;
    json!({
        "loc": ["body", position],
        "msg": format!("{message}: line {line} column {column} (char {position})"),
        "type": "value_error.jsondecode",
        "ctx": { "msg": message, "doc": document, "pos": position, "lineno": line, "colno": column },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Option<&str>, bytes: &[u8]) -> Result<Body, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, kind.parse().expect("a header value"));
        }
        Body::read(&headers, bytes)
    }

    #[test]
    fn an_absent_or_empty_content_type_is_read_as_json() {
        for kind in [
            None,
            Some(""),
            Some("application/json; charset=utf-8"),
            Some("application/x+json"),
        ] {
            assert!(matches!(read(kind, b"{}"), Ok(Body::Json(_))), "{kind:?}");
        }
        let form = read(Some("application/x-www-form-urlencoded"), b"a=b").expect("no syntax check");
        let Err(Failure::Invalid(problems)) = form.object() else {
            panic!("a form passed")
        };
        assert_eq!(problems[0]["type"], "type_error.dict");
    }

    #[test]
    fn no_body_and_null_are_missing_and_an_empty_list_is_an_object() {
        for bytes in [&b""[..], b"null"] {
            let Err(Failure::Invalid(problems)) = read(None, bytes).expect("reads").object() else {
                panic!("passed")
            };
            assert_eq!(
                problems,
                [problem(&[json!("body")], "field required", "value_error.missing")]
            );
        }
        assert_eq!(
            read(None, b"[]").expect("reads").object().expect("an object"),
            Map::new()
        );
        assert!(read(None, b"[1]").expect("reads").object().is_err());
    }

    #[test]
    fn the_whole_document_comes_back_with_a_syntax_error() {
        let Err(Failure::Invalid(problems)) = read(None, b"{\"a\":") else {
            panic!("passed")
        };
        assert_eq!(problems[0]["ctx"]["doc"], "{\"a\":");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_a_400() {
        assert!(
            matches!(read(None, b"{\"a\": \"\xff\"}"), Err(Failure::Ready(answer)) if answer.status == 400)
        );
    }
}
