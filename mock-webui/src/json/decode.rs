//! Reading JSON, with Python's words for what is wrong.
//!
//! `serde_json` does the reading. Only when it refuses does the scanner below walk the text again to say
//! what Python's decoder would have said, and at which character.

use serde_json::Value;

/// What Python's decoder reports: message and place, counted in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) message: &'static str,
    pub(crate) position: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Parses a whole document.
pub(crate) fn parse(text: &str) -> Result<Value, SyntaxError> {
    serde_json::from_str(text).map_err(|_| diagnose(text))
}

fn diagnose(text: &str) -> SyntaxError {
    let characters: Vec<char> = text.chars().collect();
    let mut scanner = Scanner {
        text: &characters,
        at: 0,
    };
    let (message, position) = scanner.document().err().unwrap_or(("Expecting value", 0));
    let before = &characters[..position.min(characters.len())];
    let line = before.iter().filter(|&&c| c == '\n').count() + 1;
    let line_start = before
        .iter()
        .rposition(|&c| c == '\n')
        .map_or(0, |newline| newline + 1);
    SyntaxError {
        message,
        position,
        line,
        column: position - line_start + 1,
    }
}

type Problem = (&'static str, usize);

struct Scanner<'a> {
    text: &'a [char],
    at: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Problem> {
        self.blanks();
        self.value(0)?;
        self.blanks();
        if self.at < self.text.len() {
            Err(("Extra data", self.at))
        } else {
            Ok(())
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Problem> {
        const DEEPEST: usize = 512; // deeper than any request; keeps the walk off the end of the stack
        let start = self.at;
        match self.peek() {
            Some('"') => self.string(),
            Some('{') if depth < DEEPEST => self.object(depth),
            Some('[') if depth < DEEPEST => self.array(depth),
            Some('-' | '0'..='9') => self.number(),
            _ => {
                for word in ["null", "true", "false", "NaN", "Infinity"] {
                    if self.word(word) {
                        return Ok(());
                    }
                }
                Err(("Expecting value", start))
            }
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.text[self.at..]
            .iter()
            .copied()
            .take(word.len())
            .eq(word.chars());
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn number(&mut self) -> Result<(), Problem> {
        let start = self.at;
        if self.peek() == Some('-') {
            self.at += 1;
            if self.word("Infinity") {
                return Ok(());
            }
        }
        match self.peek() {
            Some('0') => self.at += 1,
            Some('1'..='9') => self.digits(),
            _ => return Err(("Expecting value", start)),
        }
        // A fraction or exponent without digits ends the number before it.
        let whole = self.at;
        if self.peek() == Some('.') {
            self.at += 1;
            if !matches!(self.peek(), Some('0'..='9')) {
                self.at = whole;
                return Ok(());
            }
            self.digits();
        }
        let mantissa = self.at;
        if matches!(self.peek(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            if matches!(self.peek(), Some('0'..='9')) {
                self.digits();
            } else {
                self.at = mantissa;
            }
        }
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some('0'..='9')) {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Result<(), Problem> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(("Unterminated string starting at", start)),
                Some('"') => break,
                Some('\\') => self.escape(start)?,
                Some(c) if c < ' ' => return Err(("Invalid control character at", self.at)),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self, start: usize) -> Result<(), Problem> {
        self.at += 1;
        match self.peek() {
            None => Err(("Unterminated string starting at", start)),
            Some('u') => {
                let digits = self.text.iter().skip(self.at + 1).take(4);
                if digits.filter(|c| c.is_ascii_hexdigit()).count() < 4 {
                    return Err(("Invalid \\uXXXX escape", self.at));
                }
                self.at += 5;
                Ok(())
            }
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(("Invalid \\escape", self.at - 1)),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Problem> {
        self.at += 1;
        self.blanks();
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.blanks();
            match self.peek() {
                Some(']') => break,
                Some(',') => self.at += 1,
                _ => return Err(("Expecting ',' delimiter", self.at)),
            }
            self.blanks();
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Problem> {
        const NAME: &str = "Expecting property name enclosed in double quotes";
        self.at += 1;
        self.blanks();
        if self.peek() == Some('}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some('"') {
                return Err((NAME, self.at));
            }
            self.string()?;
            self.blanks();
            if self.peek() != Some(':') {
                return Err(("Expecting ':' delimiter", self.at));
            }
            self.at += 1;
            self.blanks();
            self.value(depth + 1)?;
            self.blanks();
            match self.peek() {
                Some('}') => break,
                Some(',') => self.at += 1,
                _ => return Err(("Expecting ',' delimiter", self.at)),
            }
            self.blanks();
        }
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_errors_read_as_python_words_them() {
        for (text, message, position) in [
            (
                "{\"prompt\": \"x\",",
                "Expecting property name enclosed in double quotes",
                15,
            ),
            ("", "Expecting value", 0),
            ("  nope", "Expecting value", 2),
            ("{\"a\" 1}", "Expecting ':' delimiter", 5),
            ("{\"a\": 1 \"b\"}", "Expecting ',' delimiter", 8),
            ("[1, 2", "Expecting ',' delimiter", 5),
            ("[1,]", "Expecting value", 3),
            ("\"é\u{1}\"", "Invalid control character at", 2),
            ("{\"a\": \"b", "Unterminated string starting at", 6),
            ("\"\\q\"", "Invalid \\escape", 1),
            ("\"\\u12\"", "Invalid \\uXXXX escape", 2),
            ("{} x", "Extra data", 3),
            ("01", "Extra data", 1),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.message, error.position), (message, position), "{text}");
        }
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        let error = parse("{\n  \"a\": tru\n}").expect_err("tru");
        assert_eq!((error.position, error.line, error.column), (9, 2, 8));
    }
}
