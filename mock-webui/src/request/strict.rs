//! What the newer validation of Forge and SD.Next refuses although the older one converts it
//! (docs/protocol/webui-api.md §12).

use serde_json::Value;

use super::coerce::Kind;
use crate::answer::problem;

/// The problems that only the newer validation sees in a value. None means that the usual checks follow.
pub(super) fn refused(kind: Kind, value: &Value, location: &[Value]) -> Vec<Value> {
    let text = |place: &[Value]| problem(place, "str type expected", "type_error.str");
    match (kind, value) {
        (Kind::Text, Value::Number(_) | Value::Bool(_)) => vec![text(location)],
        (Kind::Texts, Value::Array(items)) => items
            .iter()
            .enumerate()
            .filter(|(_, item)| !item.is_string())
            .map(|(index, _)| text(&[location, &[Value::from(index)]].concat()))
            .collect(),
        (Kind::Integer | Kind::AtLeast(_), Value::Number(number))
            if number.as_f64().is_some_and(|given| given.fract() != 0.0) =>
        {
            vec![problem(
                location,
                "value is not a valid integer",
                "int_from_float",
            )]
        }
        (Kind::Object, Value::Array(_)) => {
            vec![problem(location, "value is not a valid dict", "type_error.dict")]
        }
        _ => Vec::new(),
    }
}

/// The newer validation shows the bounds of a float as floats.
pub(super) fn show_limit_as_float(problem: &mut Value) {
    if let Some(limit) = problem["ctx"]["limit_value"].as_f64() {
        problem["ctx"]["limit_value"] = Value::from(limit);
    }
}
