//! The validation problems of Forge and SD.Next, whose web framework is newer (§12).
//!
//! It refuses some values that the older one converts (`strict`), words its problems in its own way, and
//! shows with each the input it is about. Forge adds a link to the documentation.

use serde_json::{Value, json};

/// One problem in the newer words. `body` is the whole body, in which the problem's place is looked up.
/// `linked` adds the link of Forge's version.
pub(super) fn newer(problem: &Value, body: &Value, linked: bool) -> Value {
    let place = problem["loc"].as_array().map_or(&[][..], Vec::as_slice);
    let inside = place.get(1..).unwrap_or_default();
    let kind = problem["type"].as_str().unwrap_or_default();
    let missing = kind == "value_error.missing";
    let owner = if missing {
        inside.split_last().map_or(inside, |(_, owner)| owner)
    } else {
        inside
    };
    let input = look_up(body, owner);
    let limit = &problem["ctx"]["limit_value"];
    let (kind, message, context) = match kind {
        "value_error.missing" => ("missing", "Field required".to_owned(), None),
        "value_error.jsondecode" => {
            let context = json!({ "error": problem["ctx"]["msg"] });
            let message = "JSON decode error".to_owned();
            return with_context(
                "json_invalid",
                &problem["loc"],
                &message,
                &json!({}),
                Some(&context),
            );
        }
        "type_error.integer" if input.is_string() => (
            "int_parsing",
            words("integer, unable to parse string as an integer"),
            None,
        ),
        "int_from_float" => (
            "int_from_float",
            words("integer, got a number with a fractional part"),
            None,
        ),
        "type_error.integer" => ("int_type", words("integer"), None),
        "type_error.float" if input.is_string() => (
            "float_parsing",
            words("number, unable to parse string as a number"),
            None,
        ),
        "type_error.float" => ("float_type", words("number"), None),
        "type_error.bool" if input.is_string() || input.is_number() => {
            ("bool_parsing", words("boolean, unable to interpret input"), None)
        }
        "type_error.bool" => ("bool_type", words("boolean"), None),
        "type_error.list" => ("list_type", words("list"), None),
        "type_error.dict" if inside.is_empty() => (
            "model_attributes_type",
            words("dictionary or object to extract fields from"),
            None,
        ),
        "type_error.dict" => ("dict_type", words("dictionary"), None),
        "value_error.const" => {
            let expected = "0 or 1";
            (
                "literal_error",
                format!("Input should be {expected}"),
                Some(json!({ "expected": expected })),
            )
        }
        "value_error.number.not_le" => bound("less_than_equal", "less than or equal to", "le", limit),
        "value_error.number.not_ge" => bound("greater_than_equal", "greater than or equal to", "ge", limit),
        "value_error.number.not_gt" => bound("greater_than", "greater than", "gt", limit),
        _ => ("string_type", words("string"), None),
    };
    let mut newer = with_context(kind, &problem["loc"], &message, input, context.as_ref());
    if linked {
        newer["url"] = json!(format!("https://errors.pydantic.dev/2.8/v/{kind}"));
    }
    newer
}

fn words(kind: &str) -> String {
    format!("Input should be a valid {kind}")
}

fn bound(
    kind: &'static str,
    relation: &str,
    key: &str,
    limit: &Value,
) -> (&'static str, String, Option<Value>) {
    (
        kind,
        format!(
            "Input should be {relation} {}",
            limit.to_string().trim_end_matches(".0")
        ),
        Some(json!({ key: limit })),
    )
}

fn with_context(kind: &str, place: &Value, message: &str, input: &Value, context: Option<&Value>) -> Value {
    let mut problem = json!({ "type": kind, "loc": place, "msg": message, "input": input });
    if let Some(context) = context {
        problem["ctx"] = context.clone();
    }
    problem
}

fn look_up<'a>(body: &'a Value, place: &[Value]) -> &'a Value {
    place.iter().fold(body, |value, step| match step {
        Value::String(name) => &value[name],
        step => step
            .as_u64()
            .and_then(|index| usize::try_from(index).ok())
            .map_or(&Value::Null, |index| &value[index]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_the_input_it_is_about() {
        let body = json!({ "steps": "abc", "styles": ["a", 1] });
        let old = json!({ "loc": ["body", "steps"], "msg": "", "type": "type_error.integer" });
        assert_eq!(
            newer(&old, &body, false),
            json!({
                "type": "int_parsing",
                "loc": ["body", "steps"],
                "msg": "Input should be a valid integer, unable to parse string as an integer",
                "input": "abc",
            })
        );
        let inside = json!({ "loc": ["body", "styles", 1], "msg": "", "type": "type_error.str" });
        assert_eq!(newer(&inside, &body, false)["input"], json!(1));
        let missing = json!({ "loc": ["body", "image"], "msg": "", "type": "value_error.missing" });
        assert_eq!(newer(&missing, &body, false)["input"], body);
        assert_eq!(
            newer(&missing, &body, true)["url"],
            json!("https://errors.pydantic.dev/2.8/v/missing")
        );
    }
}
