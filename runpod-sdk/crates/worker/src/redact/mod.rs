//! Masks secrets in every log line and in the errors that callers receive: known secrets, credentials in URLs and
//! headers, and long runs of base64.
//!
//! Nothing in this crate logs a key or a picture on purpose. This is the safeguard for other lines: an error text of a
//! library, a URL, the `{:?}` of a whole job.

mod base64;
mod credentials;

use runpod_protocol::sync::unpoisoned;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, RwLock};

use tracing::info;

/// The fewest characters of a secret: a shorter one would mask ordinary words.
const SHORTEST_SECRET: usize = 8;
const MASK: &str = "[secret]";

/// The known secrets, each in every form in which it may appear in a log.
static SECRETS: RwLock<Vec<Arc<[String]>>> = RwLock::new(Vec::new());

/// Environment variables whose values are secrets.
const VARIABLES: [&str; 7] = [
    "RUNPOD_AI_API_KEY",
    "RUNPOD_API_KEY",
    "BUCKET_SECRET_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
];

/// Masks the secrets of the environment for as long as the process runs.
pub(crate) fn hide_environment(lookup: impl Fn(&str) -> Option<String>) {
    for value in VARIABLES.iter().filter_map(|name| lookup(name)) {
        hide_secret(&value).for_good();
    }
}

/// Masks `value` in every log line from now on, until what this returns is dropped.
///
/// Always masked are the secret of a job's `s3Config` and the values of `RUNPOD_AI_API_KEY`, `RUNPOD_API_KEY`,
/// `BUCKET_SECRET_ACCESS_KEY`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `HF_TOKEN` and `HUGGING_FACE_HUB_TOKEN`.
/// Values shorter than 8 characters are not masked: they would mask ordinary words. Masking covers the lines that
/// [`start`](crate::start) writes and the errors of jobs. A program with its own subscriber passes its lines through
/// [`redacted`].
///
/// ```
/// let hidden = runpod_sdk::redact::hide_secret("correct horse battery");
/// assert_eq!(runpod_sdk::redact::redacted("Bearer correct horse battery"), "Bearer [secret]");
/// drop(hidden);
/// ```
#[must_use = "the value is hidden until this is dropped; `for_good` keeps it hidden"]
pub fn hide_secret(value: &str) -> Hidden {
    if value.chars().count() < SHORTEST_SECRET {
        return Hidden { forms: None };
    }
    let mut forms = vec![value.to_owned()];
    // The forms in a query, and inside the quotes of `{:?}` or JSON.
    let in_query: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let quoted = value.escape_debug().to_string();
    for form in [in_query, quoted] {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    let forms: Arc<[String]> = forms.into();
    unpoisoned(SECRETS.write()).push(forms.clone());
    Hidden { forms: Some(forms) }
}

/// A guard that keeps a value masked; see [`hide_secret`].
pub struct Hidden {
    forms: Option<Arc<[String]>>,
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

impl Hidden {
    /// Keeps the value masked for as long as the process runs.
    pub fn for_good(mut self) {
        self.forms = None;
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(forms) = &self.forms {
            let mut secrets = unpoisoned(SECRETS.write());
            if let Some(at) = secrets.iter().position(|known| Arc::ptr_eq(known, forms)) {
                secrets.swap_remove(at);
            }
        }
    }
}

/// Logs that a secret is set, with its first and last character: `name: r***Y`. A secret shorter than 8 characters is
/// masked fully (`docs/protocol/worker-protocol.md` §12).
///
/// The value is masked from then on; see [`hide_secret`].
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

/// `text` with its secrets masked: known secrets, passwords and signatures in URLs, tokens of the header
/// `Authorization`, values of keys such as `api_key` and `X-Api-Key`, and long runs of base64. The result borrows `text` if there is nothing to mask.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for mask in [without_secrets, credentials::masked, base64::masked] {
        if let Some(masked) = mask(&text) {
            text = Cow::Owned(masked);
        }
    }
    text
}

/// `text` with known secrets masked; `None` if it contains none.
fn without_secrets(text: &str) -> Option<String> {
    let mut found = Vec::new();
    for forms in unpoisoned(SECRETS.read()).iter() {
        for form in forms.iter() {
            found.extend(
                text.match_indices(form.as_str())
                    .map(|(at, form)| at..at + form.len()),
            );
        }
    }
    without(text, found)
}

/// `text` with these ranges masked; `None` if there are none. Overlapping ranges, as of a secret that is the start of
/// another, get one mask.
fn without(text: &str, mut places: Vec<Range<usize>>) -> Option<String> {
    if places.is_empty() {
        return None;
    }
    places.sort_by_key(|place| place.start);
    let mut masked = String::with_capacity(text.len());
    let mut kept = 0;
    for place in places {
        if place.start >= kept {
            masked.push_str(&text[kept..place.start]);
            masked.push_str(MASK);
        }
        kept = kept.max(place.end);
    }
    Some(masked + &text[kept..])
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
    fn secrets_that_overlap_are_hidden_whole_in_whatever_order_they_came() {
        let _hidden = ["overlap-one", "overlap-one-and-more", "and-more-behind"].map(hide_secret);
        assert_eq!(redacted("a overlap-one-and-more b"), "a [secret] b");
        assert_eq!(redacted("a overlap-one-and-more-behind b"), "a [secret] b");
        assert_eq!(redacted("overlap-one, overlap-one"), "[secret], [secret]");
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
    fn what_is_hidden_by_name_place_and_length_is_masked_together() {
        let _hidden = hide_secret("in-many-places");
        let text = format!(
            "https://u:p@h/?key=in-many-places&sig=x {} and no more",
            "iVBORw0KGgo".repeat(30)
        );
        assert_eq!(
            redacted(&text),
            "https://[secret]@h/?key=[secret]&sig=[secret] [330 characters of base64] and no more"
        );
        assert!(matches!(redacted("nothing of that"), Cow::Borrowed(_)));
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
