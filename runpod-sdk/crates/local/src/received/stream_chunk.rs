//! The body of one chunk of a stream.

use bytes::Bytes;
use runpod_protocol::{StreamChunk, json};

/// Reads `{"output": …}` and gives the value as received.
pub(crate) fn parse(body: &Bytes) -> Result<Bytes, serde_json::Error> {
    json::parse_object(body).map(|chunk: StreamChunk<'_>| json::slice_or_copy(body, chunk.output))
}

/// Splits a value over the limit: a string into strings, nothing else (`None`).
///
/// Every part, escaped and in quotes, has at most `limit` bytes.
pub(crate) fn split(value: Bytes, limit: usize) -> Option<Vec<Bytes>> {
    if value.len() <= limit {
        return Some(vec![value]);
    }
    let text: String = serde_json::from_slice(&value).ok()?;
    let mut parts = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let length = fitting(rest, limit.saturating_sub(2));
        let (part, after) = rest.split_at(length);
        parts.push(json::string(part));
        rest = after;
    }
    Some(parts)
}

/// Bytes of `text`, at least one character, whose escaped form fits into `room`.
fn fitting(text: &str, room: usize) -> usize {
    let mut escaped = 0;
    for (at, character) in text.char_indices() {
        escaped += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            other => other.len_utf8(),
        };
        if escaped > room && at > 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chunk_is_kept_byte_for_byte() {
        assert_eq!(
            parse(&Bytes::from(r#"{"output": {"a" :1}}"#)).unwrap(),
            r#"{"a" :1}"#
        );
        assert_eq!(parse(&Bytes::from(r#"{"output":null}"#)).unwrap(), "null");
        assert!(parse(&Bytes::from("{}")).is_err());
    }

    #[test]
    fn only_strings_are_split() {
        assert_eq!(split(Bytes::from("[1,2]"), 4), None);
        assert_eq!(split(Bytes::from("[1,2]"), 5), Some(vec![Bytes::from("[1,2]")]));
    }

    proptest! {
        #[test]
        fn the_parts_of_a_string_fit_and_make_up_the_whole(text in ".{0,60}", limit in 8_usize..40) {
            let parts = split(json::string(&text), limit).unwrap();
            let read = |part: &Bytes| serde_json::from_slice::<String>(part).unwrap();
            prop_assert_eq!(parts.iter().map(read).collect::<String>(), text);
            prop_assert!(parts.iter().all(|part| part.len() <= limit));
        }
    }
}
