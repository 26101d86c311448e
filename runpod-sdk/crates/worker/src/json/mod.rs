//! JSON that travels as bytes.
//!
//! The answer with a picture is a few megabytes of JSON that this process does not need to decode. [`RawJson`] carries
//! such a text unparsed: number spellings, key order and escapes arrive at the other end exactly as they were sent.
//! [`Validator`] checks a text while it arrives, so that a truncated or garbled one is never mistaken for a result.

mod readable;
mod validator;

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub(crate) use readable::{ReadableError, hint};
pub(crate) use runpod_protocol::json::entries;
pub use validator::{InvalidJson, Validator};

/// One complete JSON text, kept byte for byte as it arrived.
///
/// Cloning is cheap: the bytes are shared. `Debug` shows the length only, because inputs and
/// pictures must never reach a log.
///
/// ```
/// use runpod_sdk::json::RawJson;
///
/// let raw = RawJson::parse(r#"{"cfg_scale": 7.0, "note": "\ud83d"}"#)?;
/// assert_eq!(raw.as_bytes(), br#"{"cfg_scale": 7.0, "note": "\ud83d"}"#);
/// # Ok::<_, runpod_sdk::json::InvalidJson>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(Bytes);

impl RawJson {
    /// Checks that `bytes` hold exactly one JSON text (RFC 8259, valid UTF-8) and keeps them.
    ///
    /// Nesting may be of any depth; unpaired surrogate escapes are allowed, as in the RFC.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, InvalidJson> {
        let bytes = bytes.into();
        let mut validator = Validator::new();
        validator.feed(&bytes)?;
        validator.finish()?;
        Ok(Self(bytes))
    }

    /// Wraps bytes that `validator` has checked.
    ///
    /// Use it with a buffer that was checked piece by piece while it arrived.
    ///
    /// # Errors
    ///
    /// The text is not complete, or `validator` has seen another number of bytes.
    pub fn checked(bytes: impl Into<Bytes>, validator: Validator) -> Result<Self, InvalidJson> {
        let bytes = bytes.into();
        validator.finish_at(bytes.len())?;
        Ok(Self(bytes))
    }

    /// Encodes a value. A NaN or an infinite number becomes `null`: JSON has no such numbers.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_vec(value).map(|text| Self(text.into()))
    }

    /// Encodes a value like [`encode`](Self::encode); a `RawJson` is returned as it is, without a copy.
    pub(crate) fn encode_owned<T: Serialize + 'static>(value: T) -> Result<Self, serde_json::Error> {
        let mut slot = Some(value);
        if let Some(raw) = (&mut slot as &mut dyn Any).downcast_mut::<Option<Self>>()
            && let Some(raw) = raw.take()
        {
            return Ok(raw);
        }
        Self::encode(&slot)
    }

    /// Wraps a text that this crate or `serde_json` has already checked.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The JSON word `null`.
    pub const fn null() -> Self {
        Self(Bytes::from_static(b"null"))
    }

    /// Decodes the text; the error names the path of the field that did not fit.
    pub fn decode<T: DeserializeOwned + 'static>(&self) -> Result<T, DecodeError> {
        if let Some(same) = (self as &dyn Any).downcast_ref::<T>() {
            // `T` is `RawJson`. There is no way to move out of `&dyn Any`, but a clone of an
            // `Option<Self>` through `downcast_mut` costs one reference count.
            let _: &T = same;
            let mut slot: Option<T> = None;
            if let Some(out) = (&mut slot as &mut dyn Any).downcast_mut::<Option<Self>>() {
                *out = Some(self.clone());
            }
            if let Some(value) = slot {
                return Ok(value);
            }
        }
        let mut source = serde_json::Deserializer::from_slice(&self.0);
        serde_path_to_error::deserialize(&mut source).map_err(|error| {
            let path = error.path().to_string();
            DecodeError {
                path: if path == "." { String::new() } else { path },
                source: error.into_inner(),
            }
        })
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text as a string slice. The bytes are checked again, which costs a pass over them.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text's shared buffer.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a JSON text is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_slice(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Bytes::from(Box::<str>::from(raw).into_string())))
    }
}

impl From<serde_json::Value> for RawJson {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

/// The most characters of a caller's text that an error quotes: enough to find it, too few for a secret or a picture.
const EXCERPT: usize = 40;

/// The start of a caller's text, in quotes.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The JSON type of a text, read from its first character.
pub(crate) fn kind(text: &[u8]) -> &'static str {
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// A text that is JSON, but not of the expected shape.
#[derive(Debug, thiserror::Error)]
#[error("{}{source}", path_prefix(.path))]
pub struct DecodeError {
    path: String,
    source: serde_json::Error,
}

fn path_prefix(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}

impl DecodeError {
    /// Path of the field at fault, such as `size.width` or `items[3]`; empty for the whole text.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The error in terms of JSON types instead of Rust types.
    pub(crate) fn readable(&self) -> ReadableError {
        ReadableError::of(&self.path, &self.source)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_raw_text_is_handed_through_without_a_copy() {
        let raw = RawJson::parse(r#"{"a": 1.50}"#).unwrap();
        let address = raw.as_bytes().as_ptr();
        let decoded: RawJson = raw.decode().unwrap();
        let encoded = RawJson::encode_owned(decoded).unwrap();
        assert_eq!(encoded.as_bytes().as_ptr(), address);
    }

    #[test]
    fn a_raw_field_keeps_its_spelling_inside_a_typed_value() {
        #[derive(Serialize, Deserialize)]
        struct Wrapper {
            inner: RawJson,
        }
        let raw = RawJson::parse(r#"{"inner":{"b":1e0,  "a":"\ud800"}}"#).unwrap();
        let wrapper: Wrapper = raw.decode().unwrap();
        assert_eq!(wrapper.inner.as_bytes(), br#"{"b":1e0,  "a":"\ud800"}"#);
        assert_eq!(RawJson::encode(&wrapper).unwrap(), raw);
    }

    #[test]
    fn the_error_names_the_path_of_the_bad_field() {
        #[derive(Debug, Deserialize)]
        struct Size {
            #[expect(dead_code, reason = "only decoded")]
            width: u32,
        }
        #[derive(Debug, Deserialize)]
        struct Input {
            #[expect(dead_code, reason = "only decoded")]
            sizes: Vec<Size>,
        }
        let error = RawJson::from(json!({ "sizes": [{ "width": "wide" }] }))
            .decode::<Input>()
            .unwrap_err();
        assert_eq!(error.path(), "sizes[0].width");
        assert_eq!(
            error.to_string(),
            "sizes[0].width: invalid type: string \"wide\", expected u32 at line 1 column 25"
        );
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(
            format!("{:?}", RawJson::from(json!("secret"))),
            "RawJson(8 bytes)"
        );
    }
}
