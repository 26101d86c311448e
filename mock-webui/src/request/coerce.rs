//! Lenient coercion of one value, with the exact texts of its refusals (§3, §10).

use serde_json::{Number, Value, json};

use crate::answer::problem;
use crate::json::float;

/// The type a field is coerced to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Float,
    Flag,
    /// A list of texts.
    Texts,
    List,
    Object,
    /// An integer out of a fixed few.
    OneOf(&'static [i64]),
    /// A float between two bounds; `above` excludes the lower one.
    Within {
        low: f64,
        high: f64,
        above: bool,
    },
    /// An integer not under this one.
    AtLeast(i64),
    /// A list of `{data, name}` objects.
    Files,
    /// Any value, as it is.
    Any,
}

/// Turns `value` into the field's type, or adds what is wrong with it to `problems`.
pub(crate) fn coerce(
    kind: Kind,
    value: Value,
    location: &[Value],
    problems: &mut Vec<Value>,
) -> Option<Value> {
    let mut refuse = |message: &str, kind: &str| {
        problems.push(problem(location, message, kind));
        None
    };
    match kind {
        Kind::Any => Some(value),
        Kind::Text => text(value).or_else(|| refuse("str type expected", "type_error.str")),
        Kind::Integer => integer(&value)
            .map(Value::from)
            .or_else(|| refuse("value is not a valid integer", "type_error.integer")),
        Kind::Float => number(&value).or_else(|| refuse("value is not a valid float", "type_error.float")),
        Kind::Flag => flag(&value)
            .map(Value::from)
            .or_else(|| refuse("value could not be parsed to a boolean", "type_error.bool")),
        Kind::List => match value {
            list @ Value::Array(_) => Some(list),
            _ => refuse("value is not a valid list", "type_error.list"),
        },
        Kind::Object => object(value).or_else(|| refuse("value is not a valid dict", "type_error.dict")),
        Kind::Texts => match value {
            Value::Array(items) => each(items, location, problems, |item, place, problems| {
                coerce(Kind::Text, item, place, problems)
            }),
            _ => refuse("value is not a valid list", "type_error.list"),
        },
        Kind::Files => match value {
            Value::Array(items) => each(items, location, problems, file),
            _ => refuse("value is not a valid list", "type_error.list"),
        },
        Kind::OneOf(allowed) => {
            if allowed
                .iter()
                .any(|&choice| value.as_f64() == Some(as_float(choice)))
            {
                return Some(value);
            }
            let choices = allowed.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
            problems.push(json!({
                "loc": location,
                "msg": format!("unexpected value; permitted: {choices}"),
                "type": "value_error.const",
                "ctx": { "given": value, "permitted": allowed },
            }));
            None
        }
        Kind::Within { low, high, above } => {
            let coerced = coerce(Kind::Float, value, location, problems)?;
            let given = coerced.as_f64().unwrap_or_default();
            let (bound, words, name) = if above && given <= low {
                (low, "greater than", "not_gt")
            } else if !above && given < low {
                (low, "greater than or equal to", "not_ge")
            } else if given > high {
                (high, "less than or equal to", "not_le")
            } else {
                return Some(coerced);
            };
            problems.push(out_of_range(location, json!(bound), words, name));
            None
        }
        Kind::AtLeast(low) => {
            let coerced = coerce(Kind::Integer, value, location, problems)?;
            if coerced.as_i64().is_some_and(|given| given < low) {
                problems.push(out_of_range(
                    location,
                    json!(low),
                    "greater than or equal to",
                    "not_ge",
                ));
                return None;
            }
            Some(coerced)
        }
    }
}

/// `limit_value` in the texts is printed without a needless `.0`.
fn out_of_range(location: &[Value], limit: Value, words: &str, name: &str) -> Value {
    let shown = match &limit {
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        other => other.to_string(),
    };
    // The bounds are declared as whole numbers, so the context shows them without a fraction, too.
    let limit = shown.parse::<i64>().map_or(limit, Value::from);
    json!({
        "loc": location,
        "msg": format!("ensure this value is {words} {shown}"),
        "type": format!("value_error.number.{name}"),
        "ctx": { "limit_value": limit },
    })
}

fn each(
    items: Vec<Value>,
    location: &[Value],
    problems: &mut Vec<Value>,
    check: impl Fn(Value, &[Value], &mut Vec<Value>) -> Option<Value>,
) -> Option<Value> {
    let before = problems.len();
    let mut coerced = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let mut place = location.to_vec();
        place.push(Value::from(index));
        coerced.extend(check(item, &place, problems));
    }
    (problems.len() == before).then_some(Value::Array(coerced))
}

fn file(item: Value, location: &[Value], problems: &mut Vec<Value>) -> Option<Value> {
    let Value::Object(mut given) = item else {
        problems.push(problem(location, "value is not a valid dict", "type_error.dict"));
        return None;
    };
    let mut coerced = serde_json::Map::new();
    for name in ["data", "name"] {
        let mut place = location.to_vec();
        place.push(Value::from(name));
        match given.remove(name) {
            None => problems.push(problem(&place, "field required", "value_error.missing")),
            Some(value) => {
                if let Some(value) = coerce(Kind::Text, value, &place, problems) {
                    coerced.insert(name.to_owned(), value);
                }
            }
        }
    }
    (coerced.len() == 2).then_some(Value::Object(coerced))
}

fn text(value: Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value),
        Value::Number(number) => Some(Value::from(match number.as_f64() {
            Some(given) if number.is_f64() => float(given),
            _ => number.to_string(),
        })),
        Value::Bool(flag) => Some(Value::from(if flag { "True" } else { "False" })),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(flag) => Some(Number::from(i64::from(*flag))),
        Value::Number(number) if number.is_f64() => whole(number.as_f64()?),
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => {
            let text = text.trim();
            let digits = text.replace('_', "");
            digits
                .parse::<i64>()
                .map(Number::from)
                .or_else(|_| digits.parse::<u64>().map(Number::from))
                .ok()
                .or_else(|| whole(digits.parse::<f64>().ok().filter(|_| is_digits(&digits))?))
        }
        _ => None,
    }
}

fn is_digits(text: &str) -> bool {
    text.trim_start_matches(['-', '+'])
        .bytes()
        .all(|byte| byte.is_ascii_digit())
}

/// The whole part of a float. A number beyond 64 bits stays a float: Python keeps such integers, and
/// the generation later fails on them.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked on the line above"
)]
fn whole(value: f64) -> Option<Number> {
    if value.abs() < 9.2e18 {
        Some(Number::from(value as i64))
    } else {
        Number::from_f64(value)
    }
}

#[expect(clippy::cast_precision_loss, reason = "field bounds are small numbers")]
fn as_float(value: i64) -> f64 {
    value as f64
}

fn number(value: &Value) -> Option<Value> {
    let given = match value {
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().replace('_', "").parse().ok()?,
        _ => return None,
    };
    Number::from_f64(given).map(Value::Number)
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_lowercase().as_str() {
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            _ => None,
        },
        _ => None,
    }
}

/// Python builds a dict from an empty list and from a list of pairs, too.
fn object(value: Value) -> Option<Value> {
    match value {
        Value::Object(_) => Some(value),
        Value::Array(pairs) => {
            let mut object = serde_json::Map::new();
            for pair in pairs {
                match pair {
                    Value::Array(mut pair) if pair.len() == 2 => {
                        let value = pair.pop()?;
                        object.insert(pair.pop()?.as_str()?.to_owned(), value);
                    }
                    _ => return None,
                }
            }
            Some(Value::Object(object))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coerced(kind: Kind, value: Value) -> Result<Value, Vec<Value>> {
        let mut problems = Vec::new();
        coerce(kind, value, &[json!("body"), json!("field")], &mut problems).ok_or(problems)
    }

    #[test]
    fn integers_take_numerals_and_lose_fractions() {
        for (given, kept) in [
            (json!("64"), json!(64)),
            (json!(2.7), json!(2)),
            (json!(-2.7), json!(-2)),
            (json!(true), json!(1)),
        ] {
            assert_eq!(coerced(Kind::Integer, given), Ok(kept));
        }
        for refused in [json!("abc"), json!("7.5"), json!([]), json!({})] {
            let problems = coerced(Kind::Integer, refused).expect_err("no integer");
            assert_eq!(problems[0]["type"], "type_error.integer");
        }
    }

    #[test]
    fn floats_stay_floats_and_texts_take_numbers() {
        assert_eq!(coerced(Kind::Float, json!(7)), Ok(json!(7.0)));
        assert_eq!(coerced(Kind::Float, json!("7.5")), Ok(json!(7.5)));
        assert_eq!(coerced(Kind::Text, json!(7.0)), Ok(json!("7.0")));
        assert_eq!(coerced(Kind::Text, json!(12)), Ok(json!("12")));
        assert!(coerced(Kind::Text, json!(["a"])).is_err());
    }

    #[test]
    fn flags_take_the_usual_words() {
        for yes in [json!("true"), json!(1), json!("ON"), json!(1.0)] {
            assert_eq!(coerced(Kind::Flag, yes), Ok(json!(true)));
        }
        assert!(coerced(Kind::Flag, json!(2)).is_err());
    }

    #[test]
    fn an_empty_list_is_an_empty_object() {
        assert_eq!(coerced(Kind::Object, json!([])), Ok(json!({})));
        assert!(coerced(Kind::Object, json!(["a"])).is_err());
    }

    #[test]
    fn a_bad_item_is_named_by_its_index() {
        let problems = coerced(Kind::Texts, json!(["a", null])).expect_err("null in a list");
        assert_eq!(problems[0]["loc"], json!(["body", "field", 1]));
    }

    #[test]
    fn ranges_name_their_bound() {
        let share = Kind::Within {
            low: 0.0,
            high: 1.0,
            above: false,
        };
        let problems = coerced(share, json!(1.5)).expect_err("above one");
        assert_eq!(problems[0]["msg"], "ensure this value is less than or equal to 1");
        assert_eq!(problems[0]["type"], "value_error.number.not_le");
        let mode = coerced(Kind::OneOf(&[0, 1]), json!(2)).expect_err("two");
        assert_eq!(mode[0]["msg"], "unexpected value; permitted: 0, 1");
    }
}
