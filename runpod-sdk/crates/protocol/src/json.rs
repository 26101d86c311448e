//! A shallow look into a JSON object: keys and values are found, values are neither decoded nor copied.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Calls `visit` for each key of a JSON object, in order.
///
/// A key that comes twice is visited twice. A reader that keeps the last value agrees with every JSON reader that
/// builds a map.
///
/// # Errors
///
/// The text is not one JSON object.
pub fn visit_fields<'a>(
    object: &'a [u8],
    visit: impl FnMut(&str, &'a RawValue),
) -> Result<(), serde_json::Error> {
    struct Fields<F>(F);

    impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Fields<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some((key, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                (self.0)(&key, value);
            }
            Ok(())
        }
    }

    let mut source = serde_json::Deserializer::from_slice(object);
    source.deserialize_map(Fields(visit))?;
    source.end()
}

/// The value of one key of a JSON object; `None` if the key is absent or the text is no object.
pub fn field<'a>(object: &'a [u8], wanted: &str) -> Option<&'a RawValue> {
    let mut found = None;
    visit_fields(object, |key, value| {
        if key == wanted {
            found = Some(value);
        }
    })
    .ok()?;
    found
}

/// Reads a JSON object into a struct. serde alone would take an array for a struct as well.
///
/// # Errors
///
/// The text is not a JSON object, or not one that fits `T`.
pub fn parse_object<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, serde_json::Error> {
    if body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(body)
    } else {
        Err(serde::de::Error::custom("expected a JSON object"))
    }
}

/// Reads a field where `null` is a value: only an absent key is `None`. For `deserialize_with`, beside `default`.
///
/// # Errors
///
/// Those of the deserializer.
pub fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The bytes of `value` as a slice of the `body` it was borrowed from.
pub fn slice(body: &Bytes, value: &RawValue) -> Bytes {
    body.slice_ref(value.get().as_bytes())
}

/// The bytes of `value`: a slice, or a copy where a slice would keep a much larger `body` in memory.
pub fn slice_or_copy(body: &Bytes, value: &RawValue) -> Bytes {
    let value = value.get().as_bytes();
    if value.len() < body.len() / 2 {
        Bytes::copy_from_slice(value)
    } else {
        body.slice_ref(value)
    }
}

/// `text` as a JSON string.
pub fn string(text: &str) -> Bytes {
    Bytes::from(serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_keys_is_found_and_an_absent_one_is_not() {
        let text = br#"{"id":"a","id":"b"}"#;
        assert_eq!(field(text, "id").unwrap().get(), "\"b\"");
        assert!(field(text, "input").is_none());
        assert!(field(b"[1]", "input").is_none());
    }

    #[test]
    fn deep_nesting_is_no_problem() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let text = format!(r#"{{"input":{deep}}}"#);
        assert_eq!(field(text.as_bytes(), "input").unwrap().get(), deep);
    }

    #[test]
    fn a_small_piece_does_not_keep_a_large_body_alive() {
        let body = Bytes::from(format!(r#"{{"output":1,"junk":"{}"}}"#, "x".repeat(100)));
        let pieces: std::collections::HashMap<&str, &RawValue> = parse_object(&body).unwrap();
        let inside = |piece: &Bytes| body.as_ptr_range().contains(&piece.as_ptr());
        assert!(!inside(&slice_or_copy(&body, pieces["output"])));
        assert!(inside(&slice_or_copy(&body, pieces["junk"])));
    }
}
