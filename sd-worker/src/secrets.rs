//! The WebUI's credentials, wherever the WebUI repeats them: in an error, a line of its log, a traceback, a header.
//!
//! The SDK masks known secrets in every log line and every error, but only from 8 characters on. What the WebUI writes is
//! masked here before, also for a shorter password.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use parking_lot::RwLock;
use runpod_sdk::redact::hide_secret;

/// A shorter secret would mask most texts, and protects nothing.
const SHORTEST: usize = 3;
/// A shorter secret is masked only where it stands as a word of its own.
const SHORTEST_PART: usize = 6;
const MASK: &str = "[secret]";

static OF_THE_WEBUI: RwLock<Secrets> = RwLock::new(Secrets { values: Vec::new() });

/// Texts that must not be shown, also not by `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// The longest first: one may be part of another.
    values: Vec<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.values.len())
    }
}

impl Secrets {
    pub(crate) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> = values
            .into_iter()
            .filter(|value| value.chars().count() >= SHORTEST)
            .collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { values }
    }

    /// The text without the secrets. It is the same text if there are none in it.
    pub(crate) fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = Cow::Owned(without(&text, value));
            }
        }
        text
    }
}

fn without(text: &str, value: &str) -> String {
    if value.len() >= SHORTEST_PART {
        return text.replace(value, MASK);
    }
    let is_letter = |character: Option<char>| {
        character.is_some_and(|character| character.is_alphanumeric() || character == '_')
    };
    let mut masked = String::with_capacity(text.len());
    let mut kept = 0;
    for (at, _) in text.match_indices(value) {
        let end = at + value.len();
        if !is_letter(text[..at].chars().next_back()) && !is_letter(text[end..].chars().next()) {
            masked.push_str(&text[kept..at]);
            masked.push_str(MASK);
            kept = end;
        }
    }
    masked + &text[kept..]
}

/// The forms of a user and a password in which a server may repeat them: both together, the password, and the value of the
/// header `Authorization`.
pub(crate) fn forms(user: &str, password: &str) -> Vec<String> {
    let both = format!("{user}:{password}");
    vec![
        STANDARD_NO_PAD.encode(&both),
        URL_SAFE_NO_PAD.encode(&both),
        format!("{password:?}").trim_matches('"').to_owned(),
        password.to_owned(),
        both,
    ]
}

/// Hides the WebUI's credentials for as long as the process runs: in every log line, in every error, and in what
/// [`masked`] is called with.
pub(crate) fn hide(user: &str, password: &str) {
    let forms = forms(user, password);
    for form in &forms {
        hide_secret(form).for_good();
    }
    *OF_THE_WEBUI.write() = Secrets::new(forms);
}

/// A text that the WebUI has written, without its credentials.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    OF_THE_WEBUI.read().masked(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_in_every_form_in_which_a_server_repeats_them() {
        let secrets = Secrets::new(forms("anna", "hunter2"));
        for (text, shown) in [
            ("401 for anna:hunter2", "401 for [secret]"),
            ("wrong password 'hunter2'", "wrong password '[secret]'"),
            ("x-hunter2x", "x-[secret]x"),
            (
                "{'authorization': 'Basic YW5uYTpodW50ZXIy'}",
                "{'authorization': 'Basic [secret]'}",
            ),
            (
                "(b'authorization', b'Basic YW5uYTpodW50ZXIy')",
                "(b'authorization', b'Basic [secret]')",
            ),
            (
                "--api-auth anna:hunter2 --port 3000",
                "--api-auth [secret] --port 3000",
            ),
            ("http://anna:hunter2@127.0.0.1", "http://[secret]@127.0.0.1"),
        ] {
            assert_eq!(secrets.masked(text), shown);
        }
        assert!(matches!(secrets.masked("nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn padding_and_quotes_make_no_difference() {
        // "anna:hunter22" and "anna:hunter222" end with padding.
        for (password, header) in [
            ("hunter22", "YW5uYTpodW50ZXIyMg=="),
            ("hunter222", "YW5uYTpodW50ZXIyMjI="),
        ] {
            let secrets = Secrets::new(forms("anna", password));
            assert!(secrets.masked(header).starts_with("[secret]"), "{header}");
        }
        let secrets = Secrets::new(forms("anna", "a\"b\\c"));
        assert_eq!(secrets.masked(r#"a"b\c a\"b\\c"#), "[secret] [secret]");
    }

    #[test]
    fn a_short_password_is_masked_where_it_stands_alone() {
        let secrets = Secrets::new(forms("anna", "1234"));
        assert_eq!(
            secrets.masked("12345 x1234 1234, _1234"),
            "12345 x1234 [secret], _1234"
        );
        let secrets = Secrets::new(forms("a", "b"));
        assert_eq!(secrets.masked("a b a:b"), "a b [secret]");
    }
}
