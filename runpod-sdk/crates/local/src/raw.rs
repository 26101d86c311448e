//! Pieces of a received JSON body, found without copying it.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The bytes of `value` as a slice of the `body` it was borrowed from.
pub(crate) fn slice(body: &Bytes, value: &RawValue) -> Bytes {
    body.slice_ref(value.get().as_bytes())
}

/// The bytes of `value`, as a slice unless that would keep a much larger `body` in memory.
pub(crate) fn keep(body: &Bytes, value: &RawValue) -> Bytes {
    let value = value.get().as_bytes();
    if value.len() < body.len() / 2 {
        Bytes::copy_from_slice(value)
    } else {
        body.slice_ref(value)
    }
}

/// For `Option<&RawValue>` fields where `null` is a value: only an absent key is `None`.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a JSON object; serde alone would take an array for a struct as well.
pub(crate) fn object<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, serde_json::Error> {
    if body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(body)
    } else {
        Err(serde::de::Error::custom("expected a JSON object"))
    }
}

/// `text` as a JSON string.
pub(crate) fn string(text: &str) -> Bytes {
    Bytes::from(serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_piece_does_not_keep_a_large_body_alive() {
        let body = Bytes::from(format!(r#"{{"output":1,"junk":"{}"}}"#, "x".repeat(100)));
        let pieces: std::collections::HashMap<&str, &RawValue> = object(&body).unwrap();
        let inside = |piece: &Bytes| body.as_ptr_range().contains(&piece.as_ptr());
        assert!(!inside(&keep(&body, pieces["output"])));
        assert!(inside(&keep(&body, pieces["junk"])));
    }
}
