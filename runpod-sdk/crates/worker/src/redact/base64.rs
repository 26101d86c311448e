//! Finds long runs of base64: pictures and other files, wrapped or not, escaped or not.

use std::fmt::Write as _;

/// The fewest characters of a run that is masked: more than any path, hash or id has.
pub(super) const LONGEST_RUN: usize = 200;
/// The fewest characters of a line that continues on the next one: MIME wraps after 76, PEM after 64.
const SHORTEST_LINE: usize = 60;

/// `text` with each long run replaced by its length; `None` if there is no long run.
pub(super) fn masked(text: &str) -> Option<String> {
    let mut masked = String::new();
    let mut kept = 0;
    let mut start = 0;
    let bytes = text.as_bytes();
    while start < bytes.len() {
        let run = Run::at(bytes, start);
        if run.is_long() {
            // A run is ASCII, so both its ends are character boundaries.
            masked.push_str(&text[kept..start]);
            // Writing to a string does not fail.
            let _ = write!(masked, "[{} characters of base64]", run.length);
            kept = start + run.length;
        }
        start += run.length.max(1);
    }
    (kept > 0).then(|| masked + &text[kept..])
}

/// A run of base64 at some position.
#[derive(Debug, Default)]
struct Run {
    letters: usize,
    /// The length in bytes, with padding and line ends.
    length: usize,
    capitals: bool,
    small: bool,
    digits: bool,
}

impl Run {
    fn at(bytes: &[u8], start: usize) -> Self {
        let mut run = Self::default();
        let mut at = start;
        // Characters since the last line end.
        let mut line = 0;
        loop {
            let rest = &bytes[at..];
            if let Some(width) = letter(rest) {
                run.capitals |= rest[0].is_ascii_uppercase();
                run.small |= rest[0].is_ascii_lowercase();
                run.digits |= rest[0].is_ascii_digit();
                run.letters += 1;
                line += 1;
                at += width;
                run.length = at - start;
            } else if run.letters > 0 && padding(rest).is_some() {
                // Padding ends the run.
                while let Some(width) = padding(&bytes[at..]) {
                    at += width;
                    run.length = at - start;
                }
                return run;
            } else if line >= SHORTEST_LINE
                && let Some(width) = line_break(rest)
            {
                line = 0;
                at += width;
            } else {
                return run;
            }
        }
    }

    fn is_long(&self) -> bool {
        // A run of this length from a file has all three. A column of hashes has one case only, a line of dashes none.
        self.letters > LONGEST_RUN && self.capitals && self.small && self.digits
    }
}

/// The width in bytes of the base64 character at the start, plain or escaped as in JSON and URLs.
fn letter(rest: &[u8]) -> Option<usize> {
    match rest {
        [byte, ..] if byte.is_ascii_alphanumeric() || b"+/-_".contains(byte) => Some(1),
        [b'\\', b'/', ..] => Some(2),
        [b'%', b'2', b'B' | b'b' | b'F' | b'f', ..] => Some(3),
        _ => None,
    }
}

fn padding(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'=', ..] => Some(1),
        [b'%', b'3', b'D' | b'd', ..] => Some(3),
        _ => None,
    }
}

/// The width in bytes of a line end at the start, plain or escaped.
fn line_break(rest: &[u8]) -> Option<usize> {
    [b"\r\n".as_slice(), b"\n", b"\\r\\n", b"\\n"]
        .into_iter()
        .find(|form| rest.starts_with(form))
        .map(<[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1300 characters, as in a picture.
    fn picture() -> String {
        "iVBORw0KGgo+/".repeat(100)
    }

    fn wrapped(line_break: &str) -> String {
        let letters: Vec<char> = picture().chars().collect();
        let lines: Vec<String> = letters.chunks(76).map(|line| line.iter().collect()).collect();
        lines.join(line_break)
    }

    fn shown(text: &str) -> String {
        masked(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn a_picture_in_json_is_masked_and_the_rest_stays() {
        let text = format!(r#"{{"images":["data:image/png;base64,{}==", "é"]}}"#, picture());
        assert_eq!(
            shown(&text),
            r#"{"images":["data:image/png;base64,[1302 characters of base64]", "é"]}"#
        );
    }

    #[test]
    fn a_wrapped_picture_is_masked_whole() {
        for line_break in ["\n", "\r\n", "\\n", "\\r\\n"] {
            let text = format!("before {} after", wrapped(line_break));
            let length = wrapped(line_break).len();
            assert_eq!(
                shown(&text),
                format!("before [{length} characters of base64] after"),
                "{line_break:?}"
            );
        }
    }

    #[test]
    fn a_picture_with_escaped_letters_is_masked_whole() {
        for (letter, form) in [("/", "\\/"), ("+", "%2B"), ("/", "%2f")] {
            let text = picture().replace(letter, form);
            assert_eq!(
                shown(&format!("\"{text}%3D%3d\"")),
                format!("\"[{} characters of base64]\"", text.len() + 6)
            );
        }
    }

    #[test]
    fn what_is_long_for_other_reasons_stays() {
        let hash = "0123456789abcdef".repeat(4);
        for plain in [
            picture()[..LONGEST_RUN].to_owned(),
            "x".repeat(500),
            "-".repeat(500),
            "_".repeat(500),
            "a-name/with_many-parts".repeat(20),
            format!("{hash}\n").repeat(20),
            format!("{hash}\\n").repeat(20),
            "ein Satz mit Wörtern, der lang ist ".repeat(50),
            "a line of words that is rather long, and goes on for a while yet\n".repeat(20),
            format!(
                "/runpod-volume/{}/model.safetensors",
                "models--org--name/".repeat(8)
            ),
            "é".repeat(500),
            "=".repeat(500),
            String::new(),
        ] {
            assert_eq!(masked(&plain), None, "{plain}");
        }
    }

    #[test]
    fn two_pictures_in_one_line_are_both_masked() {
        let (one, two) = (&picture()[..201], &picture()[..300]);
        assert_eq!(
            shown(&format!("{one},{two}")),
            "[201 characters of base64],[300 characters of base64]"
        );
    }
}
