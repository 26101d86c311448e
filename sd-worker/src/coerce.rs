//! Reads JSON values as the WebUI does: numbers and booleans may be written as text (`docs/protocol/webui-api.md` §3).

use serde_json::Value;

/// Reads a finite number. `None` for values that the WebUI does not take for a number, and for texts such as `"nan"`.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// Whether the WebUI reads the value as true.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::String(text) => ["true", "on", "yes", "1"].contains(&text.to_lowercase().as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotes_make_no_difference() {
        assert_eq!(number(&json!(" 7.5 ")), number(&json!(7.5)));
        for none in [json!(true), json!("nan"), json!("inf"), json!("-Infinity")] {
            assert_eq!(number(&none), None, "{none}");
        }
        for yes in [json!(true), json!(1), json!("on"), json!("True")] {
            assert!(is_true(&yes), "{yes}");
        }
        for no in [json!(false), json!(0), json!("off"), json!(null), json!([])] {
            assert!(!is_true(&no), "{no}");
        }
    }
}
