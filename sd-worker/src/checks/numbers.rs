//! Numbers of a request, read as the WebUI does (`docs/protocol/webui-api.md` §3).

use serde_json::Value;

use crate::splice::Object;

pub(super) use crate::coerce::number;

/// The number of a field. It may be written as text.
pub(super) fn asked(request: &Object<'_>, field: &str) -> Option<f64> {
    number(&request.decode::<Value>(field)?)
}

/// A number for a message: a whole one without its point.
pub(super) fn shown(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and not large")]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

/// Whether two numbers are equal but for rounding.
pub(super) fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6
}
