//! The last safeguard of the log: known secrets and long runs of base64 are masked in every line.
//!
//! Nothing in this crate logs a key or a picture on purpose. This is for the line that nobody thought of:
//! an error text of a library, a URL, a `{:?}` of a whole job.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::info;

/// Shorter values are no secrets worth the name, and would mask ordinary words.
const SHORTEST_SECRET: usize = 8;
/// Longer runs of base64's letters than any path, hash or id has.
const LONGEST_RUN: usize = 200;
const MASK: &str = "[secret]";

/// What must not be read in the log: each value in every form in which it may get there.
static SECRETS: RwLock<Vec<Arc<[String]>>> = RwLock::new(Vec::new());

/// Variables whose values are secrets.
const VARIABLES: [&str; 2] = ["RUNPOD_AI_API_KEY", "BUCKET_SECRET_ACCESS_KEY"];

/// Hides the secrets of the environment for as long as the process runs.
pub(crate) fn hide_environment(lookup: impl Fn(&str) -> Option<String>) {
    for value in VARIABLES.iter().filter_map(|name| lookup(name)) {
        hide_secret(&value).for_good();
    }
}

/// Masks `value` in every log line from now on, until what this returns is dropped.
///
/// The API key, `BUCKET_SECRET_ACCESS_KEY` and the secret of a job's `s3Config` are hidden anyway. Values
/// shorter than 8 characters are not hidden: they would mask ordinary words. It works for lines that
/// [`start`](crate::start) writes; a program with its own subscriber passes them through [`redacted`].
///
/// ```
/// let hidden = runpod_sdk::hide_secret("correct horse battery");
/// assert_eq!(runpod_sdk::redacted("Bearer correct horse battery"), "Bearer [secret]");
/// drop(hidden);
/// ```
#[must_use = "the value is hidden until this is dropped; `for_good` keeps it hidden"]
pub fn hide_secret(value: &str) -> Hidden {
    if value.chars().count() < SHORTEST_SECRET {
        return Hidden { forms: None };
    }
    let mut forms = vec![value.to_owned()];
    // In a query, and within the quotes of `{:?}` or JSON.
    let in_query: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let quoted = value.escape_debug().to_string();
    for form in [in_query, quoted] {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    let forms: Arc<[String]> = forms.into();
    SECRETS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .push(forms.clone());
    Hidden { forms: Some(forms) }
}

/// Keeps a value hidden; see [`hide_secret`].
pub struct Hidden {
    forms: Option<Arc<[String]>>,
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

impl Hidden {
    /// Hides the value for as long as the process runs.
    pub fn for_good(mut self) {
        self.forms = None;
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(forms) = &self.forms {
            let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = secrets.iter().position(|known| Arc::ptr_eq(known, forms)) {
                secrets.swap_remove(at);
            }
        }
    }
}

/// Logs that a secret is there: `name: r***Y`, its first and last character. A secret shorter than 8
/// characters is masked fully (`docs/protocol/worker-protocol.md` §12).
///
/// The value is hidden from then on, see [`hide_secret`].
pub fn secret(name: &str, value: &str) {
    hide_secret(value).for_good();
    info!("{name}: {}", outline(value));
}

fn outline(value: &str) -> String {
    let mut letters = value.chars();
    match (letters.next(), letters.next_back()) {
        (Some(first), Some(last)) if value.chars().count() >= SHORTEST_SECRET => {
            format!("{first}***{last}")
        }
        _ => "***".to_owned(),
    }
}

/// `text` without known secrets and long runs of base64. Borrowed if there is nothing to mask, which
/// takes one look at each byte and one search for each known secret.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for forms in SECRETS.read().unwrap_or_else(PoisonError::into_inner).iter() {
        for form in forms.iter() {
            if text.contains(form.as_str()) {
                text = Cow::Owned(text.replace(form.as_str(), MASK));
            }
        }
    }
    match without_base64(&text) {
        Some(masked) => Cow::Owned(masked),
        None => text,
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// `None` if there is no long run.
fn without_base64(text: &str) -> Option<String> {
    let mut masked = String::new();
    let mut kept = 0;
    let mut start = 0;
    let bytes = text.as_bytes();
    while start < bytes.len() {
        let letters = bytes[start..].iter().take_while(|byte| is_base64(**byte)).count();
        let padding = bytes[start + letters..]
            .iter()
            .take_while(|byte| **byte == b'=')
            .count();
        let length = letters + padding;
        if letters > LONGEST_RUN {
            // A run is ASCII, so both its ends are borders of characters.
            masked.push_str(&text[kept..start]);
            // Writing to a string does not fail.
            let _ = write!(masked, "[{length} characters of base64]");
            kept = start + length;
        }
        start += length.max(1);
    }
    (kept > 0).then(|| masked + &text[kept..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_secret_is_masked_in_each_of_its_forms_until_it_is_let_go() {
        let value = "s3cr+t/\"key\"=";
        let hidden = hide_secret(value);
        assert_eq!(redacted(&format!("a {value} b")), "a [secret] b");
        assert_eq!(redacted("?sig=s3cr%2Bt%2F%22key%22%3D&x=1"), "?sig=[secret]&x=1");
        assert_eq!(redacted(&format!("{value:?}")), "\"[secret]\"");
        drop(hidden);
        assert!(matches!(redacted(&format!("a {value} b")), Cow::Borrowed(_)));
    }

    #[test]
    fn the_same_secret_hidden_twice_stays_hidden_until_both_are_let_go() {
        let (one, two) = (hide_secret("twice-hidden"), hide_secret("twice-hidden"));
        drop(one);
        assert_eq!(redacted("twice-hidden"), MASK);
        drop(two);
        assert_eq!(redacted("twice-hidden"), "twice-hidden");
    }

    #[test]
    fn short_values_mask_no_ordinary_words() {
        let _hidden = hide_secret("started");
        assert_eq!(redacted("started"), "started");
        let _hidden = hide_secret("");
        assert_eq!(redacted("nothing"), "nothing");
    }

    #[test]
    fn secrets_of_the_environment_are_hidden_for_good() {
        hide_environment(|name| (name == "RUNPOD_AI_API_KEY").then(|| "rpa_0123456789".to_owned()));
        assert_eq!(
            redacted("Authorization: rpa_0123456789"),
            "Authorization: [secret]"
        );
    }

    #[test]
    fn a_picture_is_masked_and_what_is_long_for_other_reasons_is_not() {
        let picture = "iVBORw0KGgo+/".repeat(100);
        assert_eq!(
            redacted(&format!(
                "{{\"images\":[\"data:image/png;base64,{picture}\", \"é\"]}}"
            )),
            "{\"images\":[\"data:image/png;base64,[1300 characters of base64]\", \"é\"]}"
        );
        for plain in [
            "x".repeat(LONGEST_RUN),
            "ein Satz mit Wörtern, der lang ist ".repeat(50),
            format!(
                "/runpod-volume/{}/model.safetensors",
                "models--org--name/".repeat(8)
            ),
            "é".repeat(500),
            String::new(),
        ] {
            assert!(matches!(redacted(&plain), Cow::Borrowed(_)), "{plain}");
        }
    }

    #[test]
    fn two_pictures_in_one_line_are_both_masked() {
        let (one, two) = ("A".repeat(201), "B".repeat(300));
        assert_eq!(
            redacted(&format!("{one},{two}")),
            "[201 characters of base64],[300 characters of base64]"
        );
    }

    #[test]
    fn a_secret_shows_two_characters_and_a_short_or_empty_one_none() {
        assert_eq!(outline("full-secret-value"), "f***e");
        assert_eq!(outline("12345678"), "1***8");
        for short in ["", "a", "ab", "1234567", "\u{1F600}\u{1F600}"] {
            assert_eq!(outline(short), "***", "Python showed it or crashed");
        }
    }
}
