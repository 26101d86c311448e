//! Changes a part of a JSON text and leaves every other byte as it is.
//!
//! Requests and answers hold megabytes of base64 that the worker does not decode. An [`Object`] lists the values of
//! the first level, and [`Edits`] replaces some of them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use runpod_sdk::json::RawJson;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The keys of a JSON object and their undecoded values, in the text's order.
#[derive(Debug)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads an object. `None` for any other value, and for a key that is no valid text (half a surrogate pair).
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The value of a key. The last one counts if a key is repeated, as in Python.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| *value)
    }

    /// The decoded value of a key. `None` for `null` and for a value of another type.
    pub(crate) fn decode<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let value: Option<T> = serde_json::from_str(self.get(key)?.get()).ok()?;
        value
    }

    /// The object that is the value of a key.
    pub(crate) fn object(&self, key: &str) -> Option<Self> {
        Self::read(self.get(key)?.get())
    }

    /// How often the key occurs.
    pub(crate) fn count(&self, key: &str) -> usize {
        self.keys().filter(|name| *name == key).count()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_ref())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Fields<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
            type Value = Object<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'a>, M::Error> {
                let mut fields = Vec::new();
                while let Some(key) = map.next_key::<Cow<'a, str>>()? {
                    fields.push((key, map.next_value()?));
                }
                Ok(Object(fields))
            }
        }
        source.deserialize_map(Fields(std::marker::PhantomData))
    }
}

/// A quick test before a text is parsed: whether a string in it may have `words` in it, however it is written. False is
/// certain, because JSON can spell a letter only as itself or by `\u`, and a slash also as `\/`.
pub(crate) fn may_have(text: &str, words: &str) -> bool {
    text.contains(words) || text.contains("\\u") || (words.contains('/') && text.contains("\\/"))
}

/// Changes to a JSON text, applied together.
#[derive(Debug)]
pub(crate) struct Edits<'a> {
    text: &'a str,
    changes: Vec<(Range<usize>, String)>,
}

impl<'a> Edits<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self {
            text,
            changes: Vec::new(),
        }
    }

    /// Writes `json` in place of a value of this text.
    pub(crate) fn replace(&mut self, value: &'a RawValue, json: String) {
        let start = value.get().as_ptr() as usize - self.text.as_ptr() as usize;
        debug_assert!(
            start + value.get().len() <= self.text.len(),
            "a value of another text"
        );
        self.replace_at(start..start + value.get().len(), json);
    }

    /// Writes `json` in place of the bytes at `place`.
    pub(crate) fn replace_at(&mut self, place: Range<usize>, json: String) {
        self.changes.push((place, json));
    }

    /// Writes another key and `json` in place of a key of this text and its value. False if the key is written with
    /// escapes.
    pub(crate) fn rename(&mut self, key: &str, value: &'a RawValue, to: &str, json: &str) -> bool {
        let Some((before, after)) = self.around(key, value) else {
            return false;
        };
        let place = before.len()..self.text.len() - after.len();
        self.replace_at(place, [&quoted(to), ": ", json].concat());
        true
    }

    /// Takes a key of this text and its value out. False if the key is written with escapes.
    pub(crate) fn remove(&mut self, key: &str, value: &'a RawValue) -> bool {
        let Some((before, after)) = self.around(key, value) else {
            return false;
        };
        let before = before.trim_end();
        // One of the commas around it goes, too.
        let (before, after) = match (before.strip_suffix(','), after.trim_start().strip_prefix(',')) {
            (Some(before), _) => (before, after),
            (None, Some(after)) => (before, after),
            (None, None) => (before, after),
        };
        self.replace_at(before.len()..self.text.len() - after.len(), String::new());
        true
    }

    /// The text before a key and the text behind its value. `None` if the key is written with escapes.
    fn around(&self, key: &str, value: &'a RawValue) -> Option<(&'a str, &'a str)> {
        let start = value.get().as_ptr() as usize - self.text.as_ptr() as usize;
        let after = &self.text[start + value.get().len()..];
        let before = self.text[..start].trim_end().strip_suffix(':')?.trim_end();
        Some((before.strip_suffix(&quoted(key))?, after))
    }

    /// Whether there are no changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds a key at the end of `object`, which is the text or an object inside it.
    pub(crate) fn append(&mut self, object: &'a str, key: &str, json: &str) {
        let Some(end) = object.rfind('}') else { return };
        let first = object[..end].trim_end().ends_with('{');
        let end = object.as_ptr() as usize - self.text.as_ptr() as usize + end;
        let comma = if first { "" } else { "," };
        // `apply` sorts stably, so several keys at one place keep the order of their calls.
        let earlier = self.changes.iter().any(|(range, _)| *range == (end..end));
        let comma = if earlier { "," } else { comma };
        self.changes
            .push((end..end, format!("{comma}{}:{json}", quoted(key))));
    }

    /// The changed text. `None` if a change is not valid JSON.
    pub(crate) fn apply(mut self) -> Option<RawJson> {
        self.changes.sort_by_key(|(range, _)| range.start);
        let added: usize = self.changes.iter().map(|(_, json)| json.len()).sum();
        let mut out = String::with_capacity(self.text.len() + added);
        let mut at = 0;
        for (range, json) in self.changes {
            out.push_str(&self.text[at..range.start]);
            out.push_str(&json);
            at = range.end;
        }
        out.push_str(&self.text[at..]);
        RawJson::parse(Bytes::from(out)).ok()
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_byte_stays() {
        let text = "{ \"a\": 1.0e0,\n \"b\":\"\\ud83d\" , \"a\": 2 }";
        let object = Object::read(text).unwrap();
        let mut edits = Edits::of(text);
        edits.replace(object.get("a").unwrap(), "3".to_owned());
        edits.append(text, "new", "[4]");
        edits.append(text, "newer", "5");
        assert_eq!(
            edits.apply().unwrap().as_str(),
            "{ \"a\": 1.0e0,\n \"b\":\"\\ud83d\" , \"a\": 3 ,\"new\":[4],\"newer\":5}"
        );
    }

    #[test]
    fn an_empty_object_gets_no_comma() {
        let mut edits = Edits::of("{ }");
        edits.append("{ }", "a", "1");
        edits.append("{ }", "b", "2");
        assert_eq!(edits.apply().unwrap().as_str(), r#"{ "a":1,"b":2}"#);
    }

    #[test]
    fn a_key_is_taken_out_with_one_comma() {
        for (text, expected) in [
            (r#"{"w": {"a": 1}}"#, "{}"),
            (r#"{ "w" : 1 , "b":2}"#, r#"{ "b":2}"#),
            (r#"{"b":2,"w":1}"#, r#"{"b":2}"#),
            ("{\"a\":1 ,\n \"w\":[1] , \"b\":2}", "{\"a\":1  , \"b\":2}"),
        ] {
            let object = Object::read(text).unwrap();
            let mut edits = Edits::of(text);
            assert!(edits.remove("w", object.get("w").unwrap()));
            assert_eq!(edits.apply().unwrap().as_str(), expected);
        }
        let text = r#"{"\u0077": 1}"#;
        let object = Object::read(text).unwrap();
        assert!(!Edits::of(text).remove("w", object.get("w").unwrap()));
    }

    #[test]
    fn a_key_is_written_anew_in_its_place() {
        let text = r#"{ "a" : "x", "b": 2 }"#;
        let object = Object::read(text).unwrap();
        let mut edits = Edits::of(text);
        assert!(edits.rename("a", object.get("a").unwrap(), "c", "3"));
        assert!(!edits.rename("other", object.get("b").unwrap(), "d", "4"));
        assert_eq!(edits.apply().unwrap().as_str(), r#"{ "c": 3, "b": 2 }"#);
    }

    #[test]
    fn every_spelling_of_a_word_may_have_it() {
        let spellings = |letter: char| {
            let code = u32::from(letter);
            let mut all = vec![
                letter.to_string(),
                format!("\\u{code:04x}"),
                format!("\\u{code:04X}"),
            ];
            all.extend((letter == '/').then(|| "\\/".to_owned()));
            all
        };
        for at in 0.."://".len() {
            for spelling in spellings("://".as_bytes()[at].into()) {
                let written = format!("{}{spelling}{}", &"://"[..at], &"://"[at + 1..]);
                let text = format!("[\"http{written}h\"]");
                assert_eq!(serde_json::from_str::<[String; 1]>(&text).unwrap(), ["http://h"]);
                assert!(may_have(&text, "://"), "{text}");
            }
        }
        assert!(may_have(r#"{"enable\u005fhr": true}"#, "enable_hr"));
        assert!(!may_have(r#"{"image": "aGk=", "prompt": "a\nb \"c\""}"#, "://"));
    }

    #[test]
    fn only_an_object_has_fields() {
        for other in ["[]", "1", "\"{}\"", "null"] {
            assert!(Object::read(other).is_none(), "{other}");
        }
        let object = Object::read(r#"{"a": null, "\u0062": {"c": [1, 2]}}"#).unwrap();
        assert_eq!(object.decode::<Vec<u8>>("a"), None);
        assert_eq!(
            object.object("b").unwrap().decode::<Vec<u8>>("c"),
            Some(vec![1, 2])
        );
    }
}
