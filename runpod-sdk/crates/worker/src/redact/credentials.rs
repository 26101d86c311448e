//! Secrets that are found by their position: passwords in URLs, signatures in queries, tokens of the header
//! `Authorization`, and values behind names such as `api_key` in JSON, in headers and in the `{:?}` of either.

use std::ops::Range;

use super::{MASK, without};

/// Names whose values are secrets, alone or at the end of a longer name: `hf_token`, `openaiApiKey`. A hyphen stands for an
/// underscore, too.
const NAMES: [&str; 9] = [
    "api_key",
    "apikey",
    "authorization",
    "passwd",
    "password",
    "private_key",
    "secret",
    "secret_access_key",
    "token",
];
/// The same in a query. In JSON they are the names of other things.
const QUERY_NAMES: [&str; 4] = ["key", "sig", "signature", "x_amz_credential"];
/// Names that are ordinary words where nothing else is part of the name, and no quotes are around it: `token: 7`.
const WORDS: [&str; 3] = ["password", "secret", "token"];
/// Schemes of the header `Authorization`.
const SCHEMES: [&str; 2] = ["bearer", "basic"];
/// The fewest characters of a token behind a scheme's name; anything shorter is an ordinary word.
const SHORTEST_TOKEN: usize = 8;
/// What may stand between a name or a scheme and its value: spaces, and quotes that may have been quoted again.
const BETWEEN: [char; 5] = [' ', '\t', '"', '\'', '\\'];

/// `text` without the secrets in it; `None` if there are none.
pub(super) fn masked(text: &str) -> Option<String> {
    without(
        text,
        [
            in_authorities(text),
            in_queries(text),
            behind_names(text),
            in_headers(text),
        ]
        .concat(),
    )
}

/// `user:password` of `scheme://user:password@host`.
fn in_authorities(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices("://").map(|(at, found)| at + found.len());
    starts
        .filter_map(|start| {
            let rest = &text[start..];
            let end = rest
                .find(|c: char| c.is_whitespace() || "/?#\"'<>\\`".contains(c))
                .unwrap_or(rest.len());
            let user = rest[..end].rfind('@')?;
            (user > 0).then(|| start..start + user)
        })
        .collect()
}

/// The values of query parameters that are secrets.
fn in_queries(text: &str) -> Vec<Range<usize>> {
    // In HTML and XML, which error pages are, `&` is `&amp;`.
    let starts = text.match_indices(['?', '&']).map(|(at, _)| {
        let mark = if text[at..].starts_with("&amp;") { 5 } else { 1 };
        at + mark
    });
    // The end of the last value. A `?` inside a value does not begin another query, and no byte is scanned twice.
    let mut covered = 0;
    starts
        .filter_map(|start| {
            if start < covered {
                return None;
            }
            let name = &text[start..start + name_length(&text[start..])];
            let value = start + name.len() + 1;
            let is_secret = text[start + name.len()..].starts_with('=')
                && (is_secret_name(name, &NAMES) || is_secret_name(name, &QUERY_NAMES));
            if !is_secret {
                return None;
            }
            let length = text[value..]
                .find(|c: char| c.is_whitespace() || "&#\"'<>)}\\`".contains(c))
                .unwrap_or(text.len() - value);
            covered = value + length;
            (length > 0).then(|| value..value + length)
        })
        .collect()
}

/// The values behind a name and a colon: `"api_key": "…"`, the same inside a string, `X-Api-Key: …`.
fn behind_names(text: &str) -> Vec<Range<usize>> {
    let mut covered = 0;
    text.match_indices(':')
        .filter_map(|(colon, _)| {
            if colon < covered {
                return None;
            }
            let before = text[..colon].trim_end_matches(['"', '\'', '\\']);
            let name = name_at_end(before);
            let is_word = before.len() == colon && WORDS.iter().any(|word| name.eq_ignore_ascii_case(word));
            if is_word || !is_secret_name(name, &NAMES) {
                return None;
            }
            let after = text[colon + 1..].trim_start_matches([' ', '\t']);
            let after = after.strip_prefix("Some(").unwrap_or(after);
            // One quote, which may itself have been quoted.
            let value = after.trim_start_matches('\\');
            let value = value.strip_prefix(['"', '\'']).unwrap_or(value);
            let quoted = value.len() < after.len();
            let length = value
                .find(|c: char| match c {
                    '"' | '\'' | '\\' | '\n' | '\r' => true,
                    c => !quoted && (c.is_whitespace() || ",;)}]<".contains(c)),
                })
                .unwrap_or(value.len());
            let start = text.len() - value.len();
            covered = start + length;
            let found = &value[..length];
            // The token behind a scheme is found as such.
            let is_scheme = SCHEMES.iter().any(|scheme| begins_with(found, scheme));
            let is_none = ["", "null", "None"].contains(&found) || value.starts_with(MASK);
            (!is_scheme && !is_none).then(|| start..start + length)
        })
        .collect()
}

/// The texts behind `Bearer` and `Basic`, in any case, that look like tokens.
fn in_headers(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices(['B', 'b']);
    starts
        .filter_map(|(at, _)| {
            let scheme = SCHEMES.iter().find(|scheme| begins_with(&text[at..], scheme))?;
            let behind = &text[at + scheme.len()..];
            let token = behind.trim_start_matches(BETWEEN);
            if token.len() == behind.len() {
                return None;
            }
            let start = text.len() - token.len();
            let end = token
                .find(|c: char| !(c.is_ascii_alphanumeric() || "+/-._~=".contains(c)))
                .unwrap_or(token.len());
            let token = &token[..end];
            let odd = |c: char| c.is_ascii_digit() || c == '=' || c == '_';
            let is_word = !token.contains(odd) && !token.chars().skip(1).any(|c| c.is_ascii_uppercase());
            (end >= SHORTEST_TOKEN && !is_word).then(|| start..start + end)
        })
        .collect()
}

/// Whether `name` is one of `names`, or ends in one that is a part of its own: behind `_` or `-`, or with a capital.
fn is_secret_name(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| {
        let Some(begin) = name.len().checked_sub(known.len()) else {
            return false;
        };
        let (before, end) = name.as_bytes().split_at(begin);
        let is_part =
            before.last().is_none_or(|byte| matches!(byte, b'-' | b'_')) || end[0].is_ascii_uppercase();
        let same =
            |(byte, known): (&u8, u8)| byte.eq_ignore_ascii_case(&known) || (*byte == b'-' && known == b'_');
        is_part && end.iter().zip(known.bytes()).all(same)
    })
}

/// The length of the name that `text` begins with.
fn name_length(text: &str) -> usize {
    text.bytes().take_while(|byte| is_of_name(*byte)).count()
}

/// The name that `text` ends with; empty if there is none.
fn name_at_end(text: &str) -> &str {
    let length = text.bytes().rev().take_while(|byte| is_of_name(*byte)).count();
    &text[text.len() - length..]
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether `text` begins with this word in any case.
fn begins_with(text: &str, word: &str) -> bool {
    let start = text.as_bytes().get(..word.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_signatures_and_headers_are_masked() {
        for (text, shown) in [
            ("http://user:pa55@host:80/a", "http://[secret]@host:80/a"),
            (
                "proxy=socks5://key@p.example",
                "proxy=socks5://[secret]@p.example",
            ),
            ("\"https://u:p@ss@h\"", "\"https://[secret]@h\""),
            (
                "GET https://b.s3.example/k?X-Amz-Expires=60&X-Amz-Signature=abc123&x=1",
                "GET https://b.s3.example/k?X-Amz-Expires=60&X-Amz-Signature=[secret]&x=1",
            ),
            (
                "https://b.example/k?sv=1&sig=a%2Bb%3D",
                "https://b.example/k?sv=1&sig=[secret]",
            ),
            (
                r#"{"url": "https://h/?token=t0k"}"#,
                r#"{"url": "https://h/?token=[secret]"}"#,
            ),
            (
                "Authorization: Bearer rpa_0123456789",
                "Authorization: Bearer [secret]",
            ),
            (
                r#"authorization: "Basic dXNlcjpwYXNz""#,
                r#"authorization: "Basic [secret]""#,
            ),
            ("Bearer eyJhbGciOi.J9.a-b, next", "Bearer [secret], next"),
            (
                "authorization: bearer rpa_0123456789",
                "authorization: bearer [secret]",
            ),
            ("BEARER\trpa_0123456789", "BEARER\t[secret]"),
            (r#"Bearer "rpa_0123456789""#, r#"Bearer "[secret]""#),
            (
                r#"{"auth":"bearer \"rpa_0123456789\""}"#,
                r#"{"auth":"bearer \"[secret]\""}"#,
            ),
            (
                "<a href=\"https://b.example/k?sv=1&amp;sig=a%2Bb&amp;x=1\">",
                "<a href=\"https://b.example/k?sv=1&amp;sig=[secret]&amp;x=1\">",
            ),
            (r#"{"api_key":"k3y","n":1}"#, r#"{"api_key":"[secret]","n":1}"#),
            (
                r#"{"apiKey": "two words", "n": 1}"#,
                r#"{"apiKey": "[secret]", "n": 1}"#,
            ),
            (r#""{\"password\":\"pa55\"}""#, r#""{\"password\":\"[secret]\"}""#),
            ("{'token': 't0k'}", "{'token': '[secret]'}"),
            (
                r#"Config { api_key: "k3y", n: 1 }"#,
                r#"Config { api_key: "[secret]", n: 1 }"#,
            ),
            ("X-Api-Key: k3y\nHost: h", "X-Api-Key: [secret]\nHost: h"),
            ("x-api-key:k3y", "x-api-key:[secret]"),
            ("\"x-api-key\": \"k3y\"", "\"x-api-key\": \"[secret]\""),
            (r#"{"accessSecret":"s"}"#, r#"{"accessSecret":"[secret]"}"#),
            (
                r#"Keys { hf_token: Some("t0k"), n: 1 }"#,
                r#"Keys { hf_token: Some("[secret]"), n: 1 }"#,
            ),
            ("RUNPOD_API_KEY: rpa_x, next", "RUNPOD_API_KEY: [secret], next"),
            ("Authorization: rpa_x", "Authorization: [secret]"),
        ] {
            assert_eq!(masked(text).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn every_name_is_known_in_any_case() {
        let more = [
            "X-Amz-Signature",
            "X-Amz-Security-Token",
            "X-Amz-Credential",
            "X-Goog-Signature",
            "access_token",
            "refresh_token",
            "id_token",
            "client_secret",
            "openai-api-key",
            "openaiApiKey",
        ];
        for name in NAMES.into_iter().chain(QUERY_NAMES).chain(more) {
            for name in [name.to_owned(), name.to_uppercase()] {
                let shown = format!("https://h/?a=1&{name}=[secret]&b=2");
                let text = shown.replace("[secret]", "abc/123");
                assert_eq!(masked(&text), Some(shown));
            }
        }
    }

    /// If each start were scanned on its own, this would take minutes.
    #[test]
    fn a_value_that_holds_many_beginnings_is_looked_at_once() {
        let count = 200_000;
        let found = in_queries(&"?sig=".repeat(count));
        assert_eq!((found.len(), &found[0]), (1, &(5..5 * count)));
        assert_eq!(in_queries(&"&sig=".repeat(count)).len(), 0, "all empty");
        assert_eq!(in_authorities(&"://".repeat(count)).len(), 0);
        assert_eq!(in_authorities(&"://a@".repeat(count)).len(), count);
        assert_eq!(in_headers(&"Bearer Basic ".repeat(count)).len(), 0);
        assert_eq!(behind_names(&"api_key:".repeat(count)).len(), 1);
        assert_eq!(behind_names(&":".repeat(count)).len(), 0);
    }

    #[test]
    fn what_only_looks_a_little_like_a_secret_stays() {
        for text in [
            "https://host/a@b?c=d&page=2",
            "mail to a@b.example, see https://host",
            "Basic understanding, Bearer certificates, Basic Mathematics",
            "Bearer ",
            "a ? b : c && signature = 7",
            "https://h/?sig=&x=1",
            "key: 7, token: end of text, a secret: none",
            r#"{"monkey": "a", "key": "b", "tokens": 5, "api_key": null, "api_key": ""}"#,
            "api_key: None",
            "\"basic\" and bearer",
            "://",
            "@://@",
            "",
        ] {
            assert_eq!(masked(text), None, "{text}");
        }
    }
}
