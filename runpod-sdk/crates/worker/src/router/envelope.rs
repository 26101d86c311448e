//! Finds the handler's name in an input, and removes it without changing the other bytes.

use std::ops::Range;

use crate::json::{RawJson, entries};

/// The key of the handler's input, if inputs are nested.
pub(super) const NESTED: &str = "input";

/// The handler's name in an input, and the positions that are needed to remove it.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    /// The name, if its key is there.
    pub(super) name: Option<Name>,
    /// The ranges of the name's entries; each begins at the end of the entry before it.
    entries: Vec<Range<usize>>,
    /// The range of the value of the key `input`.
    nested: Option<Range<usize>>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Name {
    Text(String),
    /// Another value than a string: the name of its JSON type.
    Other(&'static str),
}

/// Reads an input. A value that is not an object has no name.
pub(super) fn open(input: &RawJson, key: &str) -> Envelope {
    let text = input.as_bytes();
    let mut found = Envelope::default();
    // The end of the entry before this one; the first entry begins behind the bracket.
    let mut end = text.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
    let read = entries(text, |entry, value| {
        let from = std::mem::replace(&mut end, offset(text, value) + value.len());
        if entry == key {
            found.name = Some(read_name(value));
            found.entries.push(from..end);
        } else if entry == NESTED {
            found.nested = Some(offset(text, value)..end);
        }
    });
    if read.is_ok() { found } else { Envelope::default() }
}

impl Envelope {
    /// The handler's input. Nested: the value of the key `input`, not copied; `None` if the key is missing. Otherwise:
    /// the object without the name. An input without a name is returned as it is.
    pub(super) fn rest(&self, input: &RawJson, nested: bool) -> Option<RawJson> {
        if self.name.is_none() {
            return Some(input.clone());
        }
        if nested {
            let range = self.nested.clone()?;
            return Some(RawJson::trusted(input.clone().into_bytes().slice(range)));
        }
        Some(RawJson::trusted(without(input.as_bytes(), &self.entries).into()))
    }
}

fn offset(text: &[u8], value: &str) -> usize {
    value.as_ptr() as usize - text.as_ptr() as usize
}

fn read_name(value: &str) -> Name {
    match serde_json::from_str(value) {
        Ok(name) => Name::Text(name),
        Err(_) => Name::Other(crate::json::kind(value.as_bytes())),
    }
}

/// The object without the entries in `cuts`.
fn without(text: &[u8], cuts: &[Range<usize>]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(text.len());
    let mut from = 0;
    for cut in cuts {
        if from < cut.start {
            rest.extend_from_slice(&text[from..cut.start]);
        }
        from = cut.end;
        // If the first entry is removed, the comma before the next one is removed too.
        if rest.last() == Some(&b'{') {
            let blanks = text[from..]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            if text.get(from + blanks) == Some(&b',') {
                from += blanks + 1;
            }
        }
    }
    rest.extend_from_slice(&text[from..]);
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> (Option<Name>, String) {
        let input = RawJson::parse(text.to_owned()).unwrap();
        let opened = open(&input, "task");
        let rest = opened.rest(&input, false).unwrap();
        (opened.name, rest.as_str().to_owned())
    }

    fn named(name: &str) -> Name {
        Name::Text(name.to_owned())
    }

    #[test]
    fn the_name_is_taken_out_wherever_it_stands_and_the_rest_keeps_its_spelling() {
        for (text, rest) in [
            (
                r#"{"task":"a","n":1.0e0, "m" : "\u0041"}"#,
                r#"{"n":1.0e0, "m" : "\u0041"}"#,
            ),
            (r#"{ "n":1 , "task" : "a" , "m":2}"#, r#"{ "n":1 , "m":2}"#),
            (r#"{"n":1,"task":"a"}"#, r#"{"n":1}"#),
            (r#"{"task":"a"}"#, "{}"),
            (r#" { "task":"b" , "task":"a" , "n":1 } "#, r#" { "n":1 } "#),
        ] {
            let (name, left) = flat(text);
            assert_eq!((name, left.as_str()), (Some(named("a")), rest), "{text}");
            RawJson::parse(left).unwrap();
        }
    }

    #[test]
    fn an_input_without_a_name_stays_what_it_is() {
        for text in [
            "7",
            "[1]",
            r#"{"n":1}"#,
            "{}",
            r#"{"\ud800":1}"#,
            r#"{"in":{"task":"a"}}"#,
        ] {
            assert_eq!(flat(text), (None, text.to_owned()));
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_told_apart_from_none() {
        assert_eq!(flat(r#"{"task":7}"#).0, Some(Name::Other("number")));
        assert_eq!(flat(r#"{"task":null}"#).0, Some(Name::Other("null")));
    }

    #[test]
    fn a_nested_input_is_a_slice_of_the_whole() {
        let whole = RawJson::parse(r#"{"input": [1.50], "task": "a"}"#).unwrap();
        let opened = open(&whole, "task");
        assert_eq!(opened.name, Some(named("a")));
        let rest = opened.rest(&whole, true).unwrap();
        assert_eq!(rest.as_bytes(), b"[1.50]");
        assert!(
            whole
                .as_bytes()
                .as_ptr_range()
                .contains(&rest.as_bytes().as_ptr())
        );
        let missing = RawJson::parse(r#"{"task": "a"}"#).unwrap();
        assert_eq!(open(&missing, "task").rest(&missing, true), None);
    }
}
