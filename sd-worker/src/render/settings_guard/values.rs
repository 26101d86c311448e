//! Compares values of settings.

use serde_json::Value;

/// Whether two values are the same to the WebUI. A number that was once set comes back with a point, and the name of a
/// checkpoint gets its hash when that is known.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            matches!((one.as_f64(), other.as_f64()), (Some(one), Some(other)) if (one - other).abs() < 1e-9)
        }
        (Value::String(one), Value::String(other)) => one == other || plain(one) == plain(other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one == other,
    }
}

/// A checkpoint's name without its hash, folder and ending.
fn plain(name: &str) -> &str {
    let name = name.split(" [").next().unwrap_or(name);
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let name = name.strip_suffix(".safetensors").unwrap_or(name);
    name.strip_suffix(".ckpt").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_that_is_spelled_in_another_way_is_the_same() {
        assert!(same(&json!(1), &json!(1.0)));
        assert!(same(
            &json!(["/models/ae.safetensors"]),
            &json!(["ae.safetensors"])
        ));
        assert!(same(
            &json!("photo.safetensors [0123456789]"),
            &json!("photo.safetensors")
        ));
        assert!(!same(&json!(1), &json!(2)));
        assert!(!same(&json!([]), &json!(["ae"])));
        assert!(!same(&json!("photo"), &json!("anime")));
        assert!(!same(&json!(true), &json!(1)));
    }
}
