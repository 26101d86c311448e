//! Iterates over the entries of a JSON object, one level deep, without decoding the values.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// Calls `visit` for each entry of an object with its key and the text of its value. A repeated key is visited each
/// time, so that the last one wins, as in every JSON reader that builds a map.
///
/// # Errors
///
/// The text is not a JSON object, or more follows it.
pub(crate) fn entries<'a>(text: &'a [u8], visit: impl FnMut(&str, &'a str)) -> Result<(), serde_json::Error> {
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
