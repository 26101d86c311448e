//! Two JSON values compared field by field.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// A field that is not what it should be. `None` stands for a field that is not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Difference {
    path: String,
    expected: Option<Value>,
    seen: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), Value::to_string)
        };
        write!(
            f,
            "{}\n  expected {}\n  seen     {}",
            self.path,
            show(&self.expected),
            show(&self.seen)
        )
    }
}

impl Difference {
    /// Something came to no end, so there is nothing to compare.
    pub(crate) fn broken(fault: &anyhow::Error) -> Self {
        Self {
            path: "it broke off".to_owned(),
            expected: None,
            seen: Some(Value::from(format!("{fault:#}"))),
        }
    }

    /// The path and both values, as cells of a table in Markdown.
    pub(crate) fn cells(&self) -> (String, String, String) {
        let code = |text: &str| format!("`{}`", text.replace('|', r"\|"));
        let cell = |value: &Option<Value>| match value {
            Some(value) => code(&value.to_string()),
            None => "nothing".to_owned(),
        };
        let path = if self.path.is_empty() {
            "all of it".to_owned()
        } else {
            code(&self.path)
        };
        (path, cell(&self.expected), cell(&self.seen))
    }
}

/// Every field in which `seen` is not `expected`, by path.
pub(crate) fn differences(expected: &Value, seen: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(expected), Some(seen), &mut found);
    found
}

fn compare(path: &str, expected: Option<&Value>, seen: Option<&Value>, found: &mut Vec<Difference>) {
    match (expected, seen) {
        (Some(Value::Object(expected)), Some(Value::Object(seen))) => {
            let added = seen.keys().filter(|key| !expected.contains_key(*key));
            for key in expected.keys().chain(added) {
                compare(&format!("{path}.{key}"), expected.get(key), seen.get(key), found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(seen))) => {
            for at in 0..expected.len().max(seen.len()) {
                compare(&format!("{path}[{at}]"), expected.get(at), seen.get(at), found);
            }
        }
        _ if expected == seen => {}
        _ => found.push(Difference {
            path: path.trim_start_matches('.').to_owned(),
            expected: expected.cloned(),
            seen: seen.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_that_differs_is_named_by_its_path() {
        let expected = json!({"exit": 0, "posts": [{"body": 1}, {"body": 2}], "gone": true});
        let seen = json!({"exit": 0, "posts": [{"body": 1}, {"body": 3}, "more"], "new": null});
        let shown: Vec<_> = differences(&expected, &seen)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "posts[1].body\n  expected 2\n  seen     3",
                "posts[2]\n  expected nothing\n  seen     \"more\"",
                "gone\n  expected true\n  seen     nothing",
                "new\n  expected nothing\n  seen     null",
            ]
        );
    }

    #[test]
    fn equal_values_have_no_differences() {
        let value = json!({"a": [1, {"b": null}]});
        assert_eq!(differences(&value, &value), []);
    }
}
