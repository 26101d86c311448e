//! A shallow look into a JSON object: keys and values are found, values are neither decoded nor copied.

use std::fmt;

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Calls `visit` for each entry of an object with its key and the text of its value. A repeated key is visited each
/// time, so that the last one wins, as in every JSON reader that builds a map.
///
/// # Errors
///
/// The text is not a JSON object, or more follows it.
pub fn entries<'a>(text: &'a [u8], visit: impl FnMut(&str, &'a str)) -> Result<(), serde_json::Error> {
    struct Entries<F>(F);

    impl<'de, F: FnMut(&str, &'de str)> Visitor<'de> for Entries<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                // A key with an unpaired surrogate is not a Rust string; it counts as the empty name.
                let key: String = serde_json::from_str(key.get()).unwrap_or_default();
                (self.0)(&key, value.get());
            }
            Ok(())
        }
    }

    let mut source = serde_json::Deserializer::from_slice(text);
    source.deserialize_map(Entries(visit))?;
    source.end()
}

/// The text of the value of one key of a JSON object; `None` if the key is absent or the text is no object.
pub fn field<'a>(object: &'a [u8], wanted: &str) -> Option<&'a str> {
    let mut found = None;
    entries(object, |key, value| {
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
        assert_eq!(field(text, "id").unwrap(), "\"b\"");
        assert!(field(text, "input").is_none());
        assert!(field(b"[1]", "input").is_none());
    }

    #[test]
    fn a_key_that_is_no_rust_string_does_not_hide_the_others() {
        let text = br#"{"\ud800":1,"input":2}"#;
        assert_eq!(field(text, "input"), Some("2"));
    }

    #[test]
    fn deep_nesting_is_no_problem() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let text = format!(r#"{{"input":{deep}}}"#);
        assert_eq!(field(text.as_bytes(), "input").unwrap(), deep);
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
