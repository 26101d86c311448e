//! Secrets that are found by their position: passwords in URLs, signatures in queries, tokens of the header
//! `Authorization`.

use std::ops::Range;

use super::without;

/// Names of query parameters whose values are secrets.
const PARAMETERS: [&str; 16] = [
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-credential",
    "x-goog-signature",
    "signature",
    "sig",
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "secret",
    "key",
    "api_key",
    "apikey",
    "password",
];
/// Schemes of the header `Authorization`.
const SCHEMES: [&str; 2] = ["Bearer ", "Basic "];
/// The fewest characters of a token behind a scheme's name; anything shorter is an ordinary word.
const SHORTEST_TOKEN: usize = 8;

/// `text` without the secrets in it; `None` if there are none.
pub(super) fn masked(text: &str) -> Option<String> {
    without(
        text,
        [in_authorities(text), in_queries(text), in_headers(text)].concat(),
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
    let names = text.match_indices(['?', '&']).map(|(at, _)| at + 1);
    // The end of the last value. A `?` inside a value does not begin another query, and no byte is scanned twice.
    let mut covered = 0;
    names
        .filter_map(|start| {
            if start < covered {
                return None;
            }
            let names = PARAMETERS.iter();
            let name = names.copied().find(|name| begins_with(&text[start..], name))?;
            let value = start + name.len() + 1;
            let length = text[value..]
                .find(|c: char| c.is_whitespace() || "&#\"'<>)}\\`".contains(c))
                .unwrap_or(text.len() - value);
            covered = value + length;
            (length > 0).then(|| value..value + length)
        })
        .collect()
}

/// Whether `text` begins with this name and an equals sign.
fn begins_with(text: &str, name: &str) -> bool {
    text.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
        && text[name.len()..].starts_with('=')
}

/// The texts behind `Bearer` and `Basic` that look like tokens.
fn in_headers(text: &str) -> Vec<Range<usize>> {
    let found = SCHEMES.iter().flat_map(|scheme| text.match_indices(scheme));
    found
        .filter_map(|(at, scheme)| {
            let start = at + scheme.len();
            let token = &text[start..];
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
        ] {
            assert_eq!(masked(text).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn every_name_is_known_in_any_case() {
        for name in PARAMETERS {
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
            "://",
            "@://@",
            "",
        ] {
            assert_eq!(masked(text), None, "{text}");
        }
    }
}
