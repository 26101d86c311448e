//! Writing JSON with Python's separators, escapes and float form.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// The body of an answer: no blanks, characters as they are.
pub(crate) fn compact(value: &Value) -> Vec<u8> {
    write(value, Python { spaced: false })
}

/// What `json.dumps` gives without options: `", "` and `": "`, everything outside ASCII escaped.
pub(crate) fn spaced(value: &Value) -> String {
    String::from_utf8(write(value, Python { spaced: true })).expect("escaped JSON is ASCII")
}

/// Python's `repr` of a float: `7.0`, `0.1`, `1e-05`, `1e+16`.
pub(crate) fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') {
            plain
        } else {
            format!("{plain}.0")
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Python's `str` of a JSON value.
pub(crate) fn python_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// A value of an infotext: one that could be mistaken for several entries is written as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    if text.contains([',', '\n', ':']) {
        Value::from(text).to_string()
    } else {
        text.to_owned()
    }
}

fn write(value: &Value, formatter: Python) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        .expect("a JSON value always serialises into memory");
    bytes
}

struct Python {
    spaced: bool,
}

impl Python {
    fn separator<W: ?Sized + Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        match (first, self.spaced) {
            (true, _) => Ok(()),
            (false, true) => writer.write_all(b", "),
            (false, false) => writer.write_all(b","),
        }
    }
}

impl Formatter for Python {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value).as_bytes())
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separator(writer, first)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separator(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(if self.spaced { b": " } else { b":" })
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        if !self.spaced || text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return writer.write_all(text.as_bytes());
        }
        let mut units = [0; 2];
        for character in text.chars() {
            if matches!(character, ' '..='~') {
                write!(writer, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_look_as_python_prints_them() {
        for (value, text) in [
            (7.0, "7.0"),
            (0.1, "0.1"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (-1.5e-7, "-1.5e-07"),
            (0.285_000_000_000_000_03, "0.28500000000000003"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn the_info_form_has_blanks_and_only_ascii() {
        let value = json!({ "a": [1, 2.0, null], "b": "é \u{1F600}\u{7f}\n" });
        assert_eq!(
            spaced(&value),
            r#"{"a": [1, 2.0, null], "b": "\u00e9 \ud83d\ude00\u007f\n"}"#
        );
    }

    #[test]
    fn the_body_form_has_no_blanks_and_keeps_characters() {
        assert_eq!(
            compact(&json!({ "a": [1, 7.0], "b": "é" })),
            "{\"a\":[1,7.0],\"b\":\"é\"}".as_bytes()
        );
    }

    #[test]
    fn values_that_hold_separators_are_quoted() {
        assert_eq!(quote("a"), "a");
        assert_eq!(quote("a, b: \"c\""), r#""a, b: \"c\"""#);
    }
}
