//! A safe file name from what a server and a URL say. Neither is trusted.

use http::header::{CONTENT_DISPOSITION, HeaderMap};
use percent_encoding::percent_decode_str;
use reqwest::Url;

/// The most bytes of a name. File systems take 255.
const LONGEST: usize = 120;
/// The most bytes of an extension that is kept when a long name is cut.
const LONGEST_EXTENSION: usize = 16;
/// The name of a file without one.
const NAMELESS: &str = "download";

/// The name that the server gives, else the last part of the URL's path: first as it is, then in a safe form.
pub(super) fn of(url: &Url, headers: &HeaderMap) -> (Option<String>, String) {
    let given = headers
        .get(CONTENT_DISPOSITION)
        .and_then(|value| from_disposition(&String::from_utf8_lossy(value.as_bytes())))
        .or_else(|| {
            let last = url.path_segments()?.next_back()?;
            Some(percent_decode_str(last).decode_utf8_lossy().into_owned())
        })
        .filter(|name| !name.is_empty());
    let safe = given.as_deref().map_or_else(|| NAMELESS.to_owned(), safe);
    (given, safe)
}

/// `a.png` and 2 give `a-2.png`.
pub(super) fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = split(name);
    format!("{stem}-{number}{extension}")
}

/// A name without directories and control characters, and without a dot at its beginning or end.
fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.+()[]@ ".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let trimmed = plain.trim_matches(['.', ' ']);
    if trimmed.is_empty() {
        return NAMELESS.to_owned();
    }
    let (stem, extension) = split(trimmed);
    if trimmed.len() <= LONGEST {
        return trimmed.to_owned();
    }
    let extension = if extension.len() <= LONGEST_EXTENSION {
        extension
    } else {
        ""
    };
    let mut end = stem.len().min(LONGEST - extension.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", stem[..end].trim_end_matches(['.', ' ']))
}

/// The stem, and the extension with its dot.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The name in a `Content-Disposition`: `filename*` (RFC 8187) if there is one, else `filename`.
fn from_disposition(header: &str) -> Option<String> {
    let mut plain = None;
    let mut rest = header;
    while let Some((_, parameters)) = split_once_unquoted(rest) {
        rest = parameters;
        let parameter = split_once_unquoted(rest).map_or(rest, |(first, _)| first);
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "filename*" => {
                if let Some(decoded) = extended(value) {
                    return Some(decoded);
                }
            }
            "filename" => plain = plain.or_else(|| Some(unquoted(value))),
            _ => {}
        }
    }
    plain
}

/// Splits at the first semicolon outside of quotes.
fn split_once_unquoted(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// A value without its quotes and escapes.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => break,
            '\\' => text.extend(characters.next()),
            _ => text.push(c),
        }
    }
    text
}

/// Decodes a value of RFC 8187, such as `UTF-8'en'a%20b.png`.
fn extended(value: &str) -> Option<String> {
    let mut parts = value.trim_matches('"').splitn(3, '\'');
    let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
    if charset.eq_ignore_ascii_case("utf-8") {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        return Some(text.into_owned());
    }
    charset
        .eq_ignore_ascii_case("iso-8859-1")
        .then(|| percent_decode_str(text).map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn named(url: &str, disposition: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        if !disposition.is_empty() {
            headers.insert(CONTENT_DISPOSITION, HeaderValue::from_bytes(disposition).unwrap());
        }
        of(&Url::parse(url).unwrap(), &headers).1
    }

    #[test]
    fn the_servers_name_counts_more_than_the_urls() {
        const URL: &str = "https://a.example/of/the/url.png?name=query.png";
        for (disposition, expected) in [
            ("", "url.png"),
            ("attachment", "url.png"),
            ("attachment; filename=a.png", "a.png"),
            ("attachment; filename=\"a b.png\"", "a b.png"),
            ("attachment; filename=\"a;b.png\"; size=3", "a_b.png"),
            ("attachment; filename=\"a\\\"b.png\"", "a_b.png"),
            ("inline;FILENAME=a.png", "a.png"),
            (
                "attachment; filename=a.png; filename*=UTF-8''%e2%82%ac.png",
                "_.png",
            ),
            (
                "attachment; filename*=utf-8'de'%C3%BCber.png; filename=a.png",
                "über.png",
            ),
            ("attachment; filename*=ISO-8859-1''%FCber.png", "über.png"),
            ("attachment; filename*=UTF-8''%ff; filename=a.png", "a.png"),
            ("attachment; filename*=KOI8-R''x.png; filename=a.png", "a.png"),
            ("attachment; filename=\"\"", NAMELESS),
            ("attachment; filename=\"cut", "cut"),
            ("; = ;;filename", "url.png"),
        ] {
            assert_eq!(named(URL, disposition.as_bytes()), expected, "{disposition}");
        }
        assert_eq!(named(URL, b"attachment; filename=\"\xff.png\""), "_.png");
    }

    #[test]
    fn a_name_is_one_part_of_a_path_and_shows() {
        for (given, expected) in [
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("C:\\x.png", "x.png"),
            (".bashrc", "bashrc"),
            ("..", NAMELESS),
            (".", NAMELESS),
            ("a/", NAMELESS),
            ("model.", "model"),
            ("model", "model"),
            ("a.tar.gz. .", "a.tar.gz"),
            ("a\0b\nc.png", "a_b_c.png"),
            ("-rf", "-rf"),
            ("$(id).png", "_(id).png"),
            ("a\u{202e}gnp.exe", "a_gnp.exe"),
        ] {
            assert_eq!(safe(given), expected, "{given:?}");
        }
    }

    #[test]
    fn a_path_in_the_url_is_decoded_and_cleaned() {
        assert_eq!(named("https://a.example/a%20b.png", b""), "a b.png");
        assert_eq!(named("https://a.example/..%2f..%2fx.png", b""), "x.png");
        assert_eq!(named("https://a.example/", b""), NAMELESS);
        assert_eq!(named("https://a.example", b""), NAMELESS);
        assert_eq!(named("https://a.example/noextension", b""), "noextension");
        assert_eq!(named("https://a.example/dir/", b""), NAMELESS);
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = safe(&format!("{}.safetensors", "ü".repeat(300)));
        assert!(name.len() <= LONGEST && name.ends_with("ü.safetensors"), "{name}");
        assert!(safe(&format!("a.{}", "x".repeat(300))).len() <= LONGEST);
    }

    #[test]
    fn a_taken_name_is_numbered_before_its_extension() {
        assert_eq!(numbered("a.b.png", 2), "a.b-2.png");
        assert_eq!(numbered("a", 3), "a-3");
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_directory(given in ".{0,400}") {
            let name = safe(&given);
            prop_assert!(!name.is_empty() && name.len() <= LONGEST);
            prop_assert!(!name.contains(['/', '\\', '\0']) && !name.starts_with('.') && !name.ends_with('.'));
        }

        #[test]
        fn no_header_breaks_the_reader(header in ".{0,200}") {
            let _ = from_disposition(&header);
        }
    }
}
