//! Comparing two JSON values, field by field.

use serde_json::{Map, Value};

use super::case::Compare;
use super::report::Difference;

/// Adds what differs to `found`.
pub(super) fn compare(how: Compare, expected: &Value, actual: &Value, found: &mut Vec<Difference>) {
    if how != Compare::Nothing {
        walk(how, "$", expected, actual, found);
    }
}

fn walk(how: Compare, path: &str, expected: &Value, actual: &Value, found: &mut Vec<Difference>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => objects(how, path, expected, actual, found),
        (Value::Array(expected), Value::Array(actual)) if how == Compare::Shape => {
            // Lists of the same things: the first of each stands for all.
            if let (Some(expected), Some(actual)) = (expected.first(), actual.first()) {
                walk(how, &format!("{path}[0]"), expected, actual, found);
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            if expected.len() != actual.len() {
                let count = |list: &[Value]| format!("{} entries", list.len());
                found.push(Difference::new(path, count(expected), count(actual)));
            }
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                walk(how, &format!("{path}[{index}]"), expected, actual, found);
            }
        }
        _ if how == Compare::Shape => {
            let either_null = expected.is_null() || actual.is_null();
            if !either_null && kind(expected) != kind(actual) {
                found.push(Difference::new(path, kind(expected), kind(actual)));
            }
        }
        _ if expected != actual => {
            found.push(Difference::new(path, expected.to_string(), actual.to_string()));
        }
        _ => {}
    }
}

fn objects(
    how: Compare,
    path: &str,
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    for (name, value) in expected {
        let place = format!("{path}.{name}");
        match actual.get(name) {
            Some(seen) => walk(how, &place, value, seen, found),
            None => found.push(Difference::new(&place, value.to_string(), "nothing")),
        }
    }
    if how != Compare::Exact {
        return;
    }
    for (name, value) in actual.iter().filter(|(name, _)| !expected.contains_key(*name)) {
        found.push(Difference::new(
            &format!("{path}.{name}"),
            "nothing",
            value.to_string(),
        ));
    }
    let common = |map: &Map<String, Value>, other: &Map<String, Value>| {
        map.keys()
            .filter(|name| other.contains_key(*name))
            .cloned()
            .collect::<Vec<_>>()
    };
    let (order, seen) = (common(expected, actual), common(actual, expected));
    if order != seen {
        found.push(Difference::new(
            &format!("{path} (order of keys)"),
            order.join(" "),
            seen.join(" "),
        ));
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(how: Compare, expected: &Value, actual: &Value) -> Vec<String> {
        let mut found = Vec::new();
        compare(how, expected, actual, &mut found);
        found.into_iter().map(|difference| difference.path).collect()
    }

    #[test]
    fn an_exact_comparison_sees_values_keys_and_their_order() {
        let expected = json!({ "a": 1, "b": [1, { "c": 2 }] });
        assert!(paths(Compare::Exact, &expected, &expected).is_empty());
        let other = json!({ "a": 1.0, "b": [1, { "c": 3, "d": 4 }] });
        assert_eq!(
            paths(Compare::Exact, &expected, &other),
            ["$.a", "$.b[1].c", "$.b[1].d"]
        );
        let swapped: Value = serde_json::from_str(r#"{"b": [1, {"c": 2}], "a": 1}"#).expect("JSON");
        assert_eq!(paths(Compare::Exact, &expected, &swapped), ["$ (order of keys)"]);
    }

    #[test]
    fn a_subset_lets_other_fields_be_and_a_shape_lets_values_be() {
        let actual = json!({ "a": 1, "b": "x", "c": [] });
        assert!(paths(Compare::Subset, &json!({ "a": 1 }), &actual).is_empty());
        assert_eq!(paths(Compare::Subset, &json!({ "a": 2 }), &actual), ["$.a"]);
        assert!(paths(Compare::Shape, &json!({ "a": 7, "b": null, "c": [1] }), &actual).is_empty());
        assert_eq!(
            paths(Compare::Shape, &json!({ "b": 7, "d": 1 }), &actual),
            ["$.b", "$.d"]
        );
    }
}
