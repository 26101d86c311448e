//! One line of the WebUI's log: its level, and the part of it that may be shown.

use std::borrow::Cow;
use std::fmt::Write as _;

use tracing::Level;

use crate::secrets::{self, Secrets};

/// Longer lines are cut.
const LONGEST: usize = 1000;
/// A run of this many base64 characters is a picture, not a word or a path.
const PICTURE: usize = 120;
/// Shorter values of secrets could be ordinary words.
const SHORTEST_SECRET: usize = 6;
/// Names of variables whose values are secrets.
const SECRET_NAMES: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "AUTH"];
/// The WebUI repeats a failed request's arguments, prompt included, in a line that begins like this.
const ARGUMENTS: &str = "*** Arguments:";

/// Parts of the paths that the worker asks for beside renders.
const POLLED: [&str; 4] = ["/sdapi/v1/", "/controlnet/", "/openapi.json", "/internal/"];
/// 1.10 writes this as a warning for each request whose sampler name has the scheduler in it, as most have.
const EXPECTED: &str = "Sampler Scheduler autocorrection";

/// Removes secrets, pictures and prompts from lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Cleaner {
    secrets: Secrets,
}

impl Cleaner {
    /// Hides the values of all variables whose names say that they are secret, and `more`.
    pub(super) fn new(
        variables: impl IntoIterator<Item = (String, String)>,
        more: impl IntoIterator<Item = String>,
    ) -> Self {
        let is_secret = |name: &str| {
            let name = name.to_uppercase();
            SECRET_NAMES.iter().any(|secret| name.contains(secret))
        };
        let values = variables
            .into_iter()
            .filter(|(name, value)| is_secret(name) && value.len() >= SHORTEST_SECRET)
            .map(|(_, value)| value);
        Self {
            secrets: Secrets::new(values.chain(more)),
        }
    }

    /// The line without secrets, pictures and prompts, cut to the longest length. `left_out` more bytes of it were not
    /// read.
    pub(super) fn clean(&self, line: &[u8], left_out: usize) -> String {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.starts_with(ARGUMENTS) {
            return format!("{ARGUMENTS} [not shown]");
        }
        let text = without_pictures(text);
        let text = secrets::masked(&text);
        let text = self.secrets.masked(&text);
        let end = text.char_indices().nth(LONGEST).map(|(end, _)| end);
        let cut = text.len() - end.unwrap_or(text.len()) + left_out;
        let shown = &text[..end.unwrap_or(text.len())];
        let printable = shown
            .chars()
            .filter(|character| !character.is_control() || *character == '\t');
        let mut shown: String = printable.collect();
        if cut > 0 {
            let _ = write!(shown, " … ({cut} more bytes)");
        }
        shown
    }
}

/// `text` with every long run of base64 characters replaced by its length.
fn without_pictures(text: &str) -> Cow<'_, str> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut kept = String::new();
    let (mut copied, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|byte| is_base64(**byte)).count();
        if run >= PICTURE {
            kept.push_str(&text[copied..at]);
            let _ = write!(kept, "[{run} characters of base64]");
            copied = at + run;
        }
        at += run.max(1);
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[copied..]);
    Cow::Owned(kept)
}

/// Whether it is one state of a progress bar, which the next replaces: ` 45%|████▌     | 9/20 [00:01<…`.
pub(super) fn is_progress_bar(line: &str) -> bool {
    line.find("%|").is_some_and(|at| {
        line[..at]
            .chars()
            .rev()
            .take_while(|character| *character != ' ' && *character != ':')
            .all(|character| character.is_ascii_digit())
    })
}

/// Whether it is an entry of the access log for one of the worker's own polls. They come every second during a render.
pub(super) fn is_own_poll(line: &str) -> bool {
    let words: Vec<&str> = line
        .split(|character: char| character.is_whitespace() || character == '"')
        .collect();
    // Formats differ: `"GET /x HTTP/1.1" 200`, `API 2026-01-01 200 http/1.1 GET /x 127.0.0.1`.
    let is_access = words.iter().any(|word| {
        word.get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("http/"))
    });
    is_access
        && words.windows(2).any(|pair| {
            let path = pair[1].split('?').next().unwrap_or_default();
            match pair[0] {
                "GET" => POLLED.iter().any(|part| path.contains(part)),
                "POST" => path.ends_with("/sdapi/v1/interrupt"),
                _ => false,
            }
        })
}

/// The level that the line's text names. Python writes ordinary messages to both streams, so the stream tells nothing.
pub(super) fn level(line: &str) -> Level {
    if line.starts_with("Traceback (most recent call last)") {
        return Level::ERROR;
    }
    if line.contains(EXPECTED) {
        return Level::DEBUG;
    }
    // Formats differ: "ERROR: x", "2026-01-01 12:00:00 WARNING  [x] y", "[ERROR] x". The word stands near
    // the beginning, in capitals.
    let words = line
        .split(|character: char| !character.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .take(6);
    for word in words {
        match word {
            "ERROR" | "CRITICAL" | "FATAL" => return Level::ERROR,
            "WARNING" | "WARN" => return Level::WARN,
            "DEBUG" => return Level::DEBUG,
            _ => {}
        }
    }
    // "RuntimeError: CUDA error: …", the last line of a traceback.
    let exception = line.split(':').next().unwrap_or_default();
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '_'))
    };
    if is_name(exception) && (exception.ends_with("Error") || exception.ends_with("Exception")) {
        return Level::ERROR;
    }
    Level::INFO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_off_the_line() {
        for (line, expected) in [
            ("Model loaded in 3.2s", Level::INFO),
            ("ERROR:    [Errno 98] address already in use", Level::ERROR),
            (
                "2026-01-01 12:00:00,000 - ControlNet - WARNING - no model",
                Level::WARN,
            ),
            ("[DEBUG] cache hit", Level::DEBUG),
            ("Traceback (most recent call last):", Level::ERROR),
            ("torch.cuda.OutOfMemoryError: CUDA out of memory", Level::ERROR),
            ("no Error: here", Level::INFO),
            ("an ordinary sentence that ends with the word ERROR", Level::INFO),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }

    #[test]
    fn a_corrected_sampler_name_is_no_warning() {
        let line = r#"2026-01-01 12:00:00 WARNING  [root] Sampler Scheduler autocorrection: "DPM++ 2M Karras" -> "DPM++ 2M", "None" -> "Karras""#;
        assert_eq!(level(line), Level::DEBUG);
    }

    #[test]
    fn entries_of_the_worker_s_own_polls_are_known() {
        for own in [
            r#"INFO:     127.0.0.1:50000 - "GET /sdapi/v1/progress?skip_current_image=true HTTP/1.1" 200 OK"#,
            "API 2026-01-01 12:00:00.000000 200 http/1.1 GET /sdapi/v1/sd-models 127.0.0.1 0.002",
            "12:00:00 INFO API user=None code=200 http/1.1 GET /sdapi/v1/progress 127.0.0.1 0.0006",
            r#"INFO: 127.0.0.1:1 - "GET /prefix/sdapi/v1/schedulers HTTP/1.1" 404 Not Found"#,
            r#"INFO: 127.0.0.1:1 - "POST /sdapi/v1/interrupt HTTP/1.1" 200 OK"#,
        ] {
            assert!(is_own_poll(own), "{own}");
        }
        for other in [
            r#"INFO: 127.0.0.1:1 - "POST /sdapi/v1/txt2img HTTP/1.1" 500 Internal Server Error"#,
            "GET /sdapi/v1/progress is what a client asks for",
            "Model loaded in 3.2s",
        ] {
            assert!(!is_own_poll(other), "{other}");
        }
    }

    #[test]
    fn progress_bars_are_known() {
        assert!(is_progress_bar(" 45%|████▌     | 9/20 [00:01<00:01,  7.50it/s]"));
        assert!(is_progress_bar("Total progress: 100%|██████████| 20/20"));
        assert!(!is_progress_bar("50% done"));
        assert!(!is_progress_bar("a%|b"));
    }

    #[test]
    fn secrets_pictures_and_prompts_are_not_shown() {
        let variables = [
            ("HF_TOKEN".to_owned(), "hf_abcdefgh".to_owned()),
            ("DB_PASSWORD".to_owned(), "hunter2222".to_owned()),
            ("PATH".to_owned(), "/usr/local/bin".to_owned()),
            ("API_KEY".to_owned(), "no".to_owned()),
        ];
        let cleaner = Cleaner::new(variables, []);
        let clean = |line: &str| cleaner.clean(line.as_bytes(), 0);
        assert_eq!(
            clean("hf_abcdefgh and hunter2222, no /usr/local/bin\n"),
            "[secret] and [secret], no /usr/local/bin"
        );
        assert_eq!(
            clean(&format!("got data:image/png;base64,{} end", "iVBO".repeat(100))),
            "got data:image/png;base64,[400 characters of base64] end"
        );
        assert_eq!(
            clean("*** Arguments: ('task(x)', 'a secret prompt')"),
            "*** Arguments: [not shown]"
        );
    }

    #[test]
    fn a_line_without_end_is_cut_and_its_length_is_told() {
        let line = "é ".repeat(LONGEST);
        let shown = Cleaner::default().clean(line.as_bytes(), 7);
        assert_eq!(
            shown.chars().take_while(|character| *character != '…').count(),
            LONGEST + 1
        );
        assert!(shown.ends_with("more bytes)"), "{shown}");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(
            Cleaner::default().clean(b"\x1b[31mred\xff\x00\r\n", 0),
            "[31mred\u{fffd}"
        );
    }
}
