//! URLs without secrets, for logs and error messages.

use std::fmt;

use reqwest::Url;

/// The most characters of a path that are shown.
const LONGEST_PATH: usize = 200;

/// A URL without what may be secret, for logs and error messages.
///
/// User name, password and fragment are left out. `?…` stands for a query, which may hold a signature. A path is cut
/// after 200 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownUrl(String);

impl ShownUrl {
    pub(super) fn of(url: &Url) -> Self {
        // Of an opaque URL such as `data:`, everything is content.
        let Some(host) = url.host_str() else {
            return Self(format!("{}:…", url.scheme()));
        };
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let mut shown = format!("{}://{host}{port}", url.scheme());
        match url.path().char_indices().nth(LONGEST_PATH) {
            Some((end, _)) => {
                shown.push_str(&url.path()[..end]);
                shown.push('…');
            }
            None => shown.push_str(url.path()),
        }
        if url.query().is_some() {
            shown.push_str("?…");
        }
        Self(shown)
    }

    /// The text that is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_passwords_and_contents_are_not_shown() {
        for (url, shown) in [
            (
                "https://user:pass@b.example:8443/a/b.png?X-Amz-Signature=s3cret#part",
                "https://b.example:8443/a/b.png?…",
            ),
            ("http://[2001:4860::1]/a", "http://[2001:4860::1]/a"),
            ("data:image/png;base64,AAAA", "data:…"),
        ] {
            assert_eq!(ShownUrl::of(&Url::parse(url).unwrap()).as_str(), shown);
        }
        let long = Url::parse(&format!("https://a.example/{}", "x".repeat(500))).unwrap();
        assert_eq!(
            ShownUrl::of(&long).as_str().chars().count(),
            17 + LONGEST_PATH + 1
        );
    }
}
