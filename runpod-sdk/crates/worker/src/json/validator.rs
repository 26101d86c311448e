//! Validates a JSON text incrementally, while its bytes arrive.
//!
//! Nearly all bytes of an answer with a picture lie inside one long string, so the inner loop for strings decides the
//! cost. It takes 64 bytes at a time in a form that the compiler vectorises. The rest is a state machine. `serde_json`
//! could check a finished buffer, but not one that is still arriving, and at several times the cost.

/// Checks one JSON text (RFC 8259) that arrives in pieces.
///
/// ```
/// use runpod_sdk::json::Validator;
///
/// let mut validator = Validator::new();
/// validator.feed(b"{\"images\": [\"iVBO")?;
/// validator.feed(b"Rw0KGgo=\"]}")?;
/// validator.finish()?;
/// # Ok::<_, runpod_sdk::json::InvalidJson>(())
/// ```
#[derive(Debug, Clone)]
pub struct Validator {
    state: ParserState,
    /// The containers around the current value, innermost last: `true` for an object, `false` for an array.
    nesting: Vec<bool>,
    fed: usize,
}

/// The text is not JSON, not UTF-8, or ended too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJson {
    /// A byte that cannot stand where it stands.
    #[error("not JSON: unexpected byte at offset {offset}")]
    Unexpected {
        /// Where the byte is, counted from the start of the text.
        offset: usize,
    },
    /// The text ended before its value was complete.
    #[error("not JSON: the text ends after {length} bytes, before it is complete")]
    Truncated {
        /// How long the text is.
        length: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParserState {
    /// A value must begin.
    Value,
    /// Just after `[`: a value or `]`.
    FirstElement,
    /// Just after `{`: a key or `}`.
    FirstKey,
    /// After a comma in an object.
    Key,
    Colon,
    /// After a value: a comma, the end of its container, or whitespace may follow.
    AfterValue,
    String {
        key: bool,
    },
    Escape {
        key: bool,
    },
    /// Inside `\uXXXX`; `left` digits are still to come.
    Unicode {
        key: bool,
        left: u8,
    },
    /// Inside a character of several bytes: the next continuation byte must lie in the range.
    Utf8 {
        key: bool,
        left: u8,
        low: u8,
        high: u8,
    },
    /// Inside `true`, `false` or `null`, with the bytes that are still to come.
    Literal(&'static [u8]),
    Number(NumberState),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberState {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    ExponentSign,
    Exponent,
}

impl NumberState {
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::E),
            (Self::E, b'+' | b'-') => Some(Self::ExponentSign),
            (Self::E | Self::ExponentSign | Self::Exponent, b'0'..=b'9') => Some(Self::Exponent),
            _ => None,
        }
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Exponent)
    }
}

impl Default for Validator {
    fn default() -> Self {
        Self::new()
    }
}

impl Validator {
    /// A validator at the start of a text.
    pub fn new() -> Self {
        Self {
            state: ParserState::Value,
            nesting: Vec::new(),
            fed: 0,
        }
    }

    /// Takes the next piece of the text.
    ///
    /// # Errors
    ///
    /// The piece makes the text invalid. The validator is of no further use then.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), InvalidJson> {
        let mut at = 0;
        while at < piece.len() {
            if let ParserState::String { .. } = self.state {
                at += plain_prefix(&piece[at..]);
                if at == piece.len() {
                    break;
                }
            }
            match self.step(piece[at]) {
                Step::Taken => at += 1,
                Step::Again => {}
                Step::Refused => {
                    return Err(InvalidJson::Unexpected {
                        offset: self.fed + at,
                    });
                }
            }
        }
        self.fed += piece.len();
        Ok(())
    }

    /// Checks that the text is complete.
    pub fn finish(self) -> Result<(), InvalidJson> {
        let complete = self.nesting.is_empty()
            && match self.state {
                ParserState::AfterValue => true,
                ParserState::Number(number) => number.may_end(),
                _ => false,
            };
        if complete {
            Ok(())
        } else {
            Err(InvalidJson::Truncated { length: self.fed })
        }
    }

    /// [`finish`](Self::finish), for a text that must be `length` bytes long.
    pub(super) fn finish_at(self, length: usize) -> Result<(), InvalidJson> {
        if self.fed != length {
            return Err(InvalidJson::Truncated {
                length: self.fed.min(length),
            });
        }
        self.finish()
    }

    fn step(&mut self, byte: u8) -> Step {
        let next = match self.state {
            ParserState::Value
            | ParserState::FirstElement
            | ParserState::FirstKey
            | ParserState::Key
            | ParserState::Colon
            | ParserState::AfterValue
                if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') =>
            {
                return Step::Taken;
            }
            ParserState::FirstElement if byte == b']' => return self.close(false),
            ParserState::Value | ParserState::FirstElement => match self.begin_value(byte) {
                Some(state) => state,
                None => return Step::Refused,
            },
            ParserState::FirstKey if byte == b'}' => return self.close(true),
            ParserState::FirstKey | ParserState::Key if byte == b'"' => ParserState::String { key: true },
            ParserState::Colon if byte == b':' => ParserState::Value,
            ParserState::AfterValue => match (byte, self.nesting.last()) {
                (b',', Some(true)) => ParserState::Key,
                (b',', Some(false)) => ParserState::Value,
                (b'}', _) => return self.close(true),
                (b']', _) => return self.close(false),
                _ => return Step::Refused,
            },
            ParserState::String { key } => match byte {
                b'"' => after_string(key),
                b'\\' => ParserState::Escape { key },
                _ => match character(byte, key) {
                    Some(state) => state,
                    None => return Step::Refused,
                },
            },
            ParserState::Escape { key } => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => ParserState::String { key },
                b'u' => ParserState::Unicode { key, left: 4 },
                _ => return Step::Refused,
            },
            ParserState::Unicode { key, left } if byte.is_ascii_hexdigit() => match left {
                1 => ParserState::String { key },
                left => ParserState::Unicode { key, left: left - 1 },
            },
            ParserState::Utf8 { key, left, low, high } if (low..=high).contains(&byte) => match left {
                1 => ParserState::String { key },
                left => ParserState::Utf8 {
                    key,
                    left: left - 1,
                    low: 0x80,
                    high: 0xBF,
                },
            },
            ParserState::Literal([expected, rest @ ..]) if *expected == byte => match rest {
                [] => ParserState::AfterValue,
                rest => ParserState::Literal(rest),
            },
            ParserState::Number(number) => match number.next(byte) {
                Some(number) => ParserState::Number(number),
                None if number.may_end() => {
                    self.state = ParserState::AfterValue;
                    return Step::Again;
                }
                None => return Step::Refused,
            },
            _ => return Step::Refused,
        };
        self.state = next;
        Step::Taken
    }

    /// The state after the first byte of a value.
    fn begin_value(&mut self, byte: u8) -> Option<ParserState> {
        Some(match byte {
            b'"' => ParserState::String { key: false },
            b'{' => {
                self.nesting.push(true);
                ParserState::FirstKey
            }
            b'[' => {
                self.nesting.push(false);
                ParserState::FirstElement
            }
            b't' => ParserState::Literal(b"rue"),
            b'f' => ParserState::Literal(b"alse"),
            b'n' => ParserState::Literal(b"ull"),
            b'-' => ParserState::Number(NumberState::Minus),
            b'0' => ParserState::Number(NumberState::Zero),
            b'1'..=b'9' => ParserState::Number(NumberState::Integer),
            _ => return None,
        })
    }

    fn close(&mut self, object: bool) -> Step {
        if self.nesting.pop() != Some(object) {
            return Step::Refused;
        }
        self.state = ParserState::AfterValue;
        Step::Taken
    }
}

enum Step {
    Taken,
    /// The byte ended a number and must be read again in the new state.
    Again,
    Refused,
}

fn after_string(key: bool) -> ParserState {
    if key {
        ParserState::Colon
    } else {
        ParserState::AfterValue
    }
}

/// The state after the first byte of a character of several bytes (Unicode, table 3-7).
fn character(first: u8, key: bool) -> Option<ParserState> {
    let (left, low, high) = match first {
        0xC2..=0xDF => (1, 0x80, 0xBF),
        0xE0 => (2, 0xA0, 0xBF),
        0xE1..=0xEC | 0xEE..=0xEF => (2, 0x80, 0xBF),
        0xED => (2, 0x80, 0x9F),
        0xF0 => (3, 0x90, 0xBF),
        0xF1..=0xF3 => (3, 0x80, 0xBF),
        0xF4 => (3, 0x80, 0x8F),
        _ => return None,
    };
    Some(ParserState::Utf8 { key, left, low, high })
}

/// The number of bytes at the start that are ordinary characters of a string.
fn plain_prefix(bytes: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\' || byte >= 0x80;
    let mut blocks = bytes.chunks_exact(BLOCK);
    let mut plain = 0;
    // A fold without an early exit, because the compiler vectorises that.
    for block in blocks.by_ref() {
        if block.iter().fold(false, |found, &byte| found | special(byte)) {
            break;
        }
        plain += BLOCK;
    }
    plain
        + bytes[plain..]
            .iter()
            .position(|&byte| special(byte))
            .unwrap_or(bytes.len() - plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &[u8], piece: usize) -> Result<(), InvalidJson> {
        let mut validator = Validator::new();
        for piece in text.chunks(piece.max(1)) {
            validator.feed(piece)?;
        }
        validator.finish()
    }

    #[test]
    fn accepts_what_the_grammar_allows() {
        for text in [
            "null",
            " true ",
            "-0",
            "0.5e-7",
            "10E+2",
            "\"\"",
            "[]",
            "{}",
            "[ ]",
            "{ }",
            "[1,[2,{\"a\":[]}]]",
            "\"\\ud800\"",
            "\"\\u00e9 \\/ \\\"\"",
            "\"\u{1F600} é\"",
            "{\"a\":{\"a\":null},\"a\":1}",
            "1e400",
        ] {
            assert_eq!(check(text.as_bytes(), 1), Ok(()), "{text}");
            assert_eq!(check(text.as_bytes(), 1000), Ok(()), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "[1}",
            "]",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "1 2",
            "NaN",
            "<html>",
            "{\"a\":1",
            "\"abc",
        ] {
            assert!(check(text.as_bytes(), 1).is_err(), "{text}");
        }
        assert!(check(b"\"\xff\"", 1).is_err());
        assert!(
            check(b"\"\xed\xa0\x80\"", 1).is_err(),
            "an encoded surrogate is not UTF-8"
        );
        assert!(check(b"\"\xc3\"", 1).is_err(), "half a character");
    }

    #[test]
    fn says_where_it_broke_and_when_it_was_cut() {
        assert_eq!(check(b"[1, x]", 2), Err(InvalidJson::Unexpected { offset: 4 }));
        assert_eq!(
            check(b"{\"images\": [\"iVBO", 5),
            Err(InvalidJson::Truncated { length: 17 })
        );
    }

    #[test]
    fn depth_is_no_matter() {
        let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(check(text.as_bytes(), 4096), Ok(()));
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_any_bytes(
            text in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ \nu0123456789-+.eE tfalsrn\xc3\xa9\xff".to_vec()), 0..40),
            piece in 1_usize..8,
        ) {
            let expected = serde_json::from_slice::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(check(&text, piece).is_ok(), expected, "{:?}", String::from_utf8_lossy(&text));
        }

        #[test]
        fn accepts_every_encoded_string_however_it_is_cut(text in ".{0,200}", piece in 1_usize..130) {
            let encoded = serde_json::to_vec(&text).unwrap();
            prop_assert!(check(&encoded, piece).is_ok());
        }
    }
}
