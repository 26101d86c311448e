//! Numbers of a request, as the WebUI reads them (`docs/protocol/webui-api.md` §3).

use serde_json::Value;

use crate::splice::Object;

pub(super) use crate::lenient::number;

/// Numbers may be in quotes, too.
pub(super) fn asked(request: &Object<'_>, field: &str) -> Option<f64> {
    number(&request.decode::<Value>(field)?)
}

/// A whole number without its point.
pub(super) fn shown(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and not large")]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

pub(super) fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6
}
