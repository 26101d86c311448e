//! Proxies that the environment names.
//!
//! A proxy looks names up by itself, so that their addresses cannot be checked here. A request that would have to take
//! a proxy is refused.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
#[cfg(feature = "download")]
use reqwest::{NoProxy, Proxy};
use runpod_protocol::variable;

/// The environment's proxies, and the hosts that are reached without one (`NO_PROXY`).
pub(crate) struct Proxies {
    matcher: Matcher,
    http: Option<String>,
    https: Option<String>,
    no: String,
}

impl Proxies {
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        // Both spellings are in use. As in curl, the lower-case one takes precedence.
        let get = |name: &str| {
            [name.to_lowercase(), name.to_owned()]
                .iter()
                .find_map(|name| variable::unless_blank(lookup(name)))
        };
        let all = get("ALL_PROXY");
        let http = get("HTTP_PROXY").or_else(|| all.clone());
        let https = get("HTTPS_PROXY").or(all);
        let no = get("NO_PROXY").unwrap_or_default();
        let matcher = Matcher::builder()
            .http(http.clone().unwrap_or_default())
            .https(https.clone().unwrap_or_default())
            .no(no.clone())
            .build();
        Self {
            matcher,
            http,
            https,
            no,
        }
    }

    /// Whether a request for this URL would have to take a proxy.
    pub(crate) fn apply_to(&self, url: &Url) -> bool {
        // A URL that the matcher cannot read counts as one that would.
        url.as_str()
            .parse()
            .map_or(true, |uri| self.matcher.intercept(&uri).is_some())
    }

    /// The proxies in the form that the HTTP client takes.
    #[cfg(feature = "download")]
    pub(crate) fn for_client(&self) -> Result<Vec<Proxy>, reqwest::Error> {
        let no = || NoProxy::from_string(&self.no);
        let http = self.http.as_ref().map(Proxy::http);
        let https = self.https.as_ref().map(Proxy::https);
        http.into_iter()
            .chain(https)
            .map(|proxy| proxy.map(|proxy| proxy.no_proxy(no())))
            .collect()
    }
}

/// Leaves the proxies' URLs out: they may hold passwords.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no", &self.no)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(pairs: &[(&str, &str)]) -> Proxies {
        Proxies::from_lookup(|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_proxy_stands_before_what_no_proxy_does_not_name() {
        const PROXY: &str = "http://user:pass@proxy.example:3128";
        for (variables, url, expected) in [
            (&[][..], "https://a.example/", false),
            (&[("HTTPS_PROXY", PROXY)], "https://a.example/", true),
            (&[("https_proxy", PROXY)], "https://a.example/", true),
            (&[("HTTPS_PROXY", PROXY)], "http://a.example/", false),
            (&[("HTTP_PROXY", PROXY)], "http://a.example/", true),
            (&[("ALL_PROXY", PROXY)], "http://a.example/", true),
            (&[("all_proxy", PROXY)], "https://a.example/", true),
            (&[("HTTPS_PROXY", "")], "https://a.example/", false),
            (
                &[("ALL_PROXY", PROXY), ("NO_PROXY", "*")],
                "https://a.example/",
                false,
            ),
            (
                &[("ALL_PROXY", PROXY), ("NO_PROXY", "a.example")],
                "https://a.example/",
                false,
            ),
            (
                &[("ALL_PROXY", PROXY), ("no_proxy", ".example")],
                "https://a.example/",
                false,
            ),
            (
                &[("ALL_PROXY", PROXY), ("NO_PROXY", "a.example")],
                "https://b.a.example/",
                false,
            ),
            (
                &[("ALL_PROXY", PROXY), ("NO_PROXY", "a.example")],
                "https://ba.example/",
                true,
            ),
            (
                &[("ALL_PROXY", PROXY), ("NO_PROXY", "9.9.0.0/16")],
                "https://9.9.9.9/",
                false,
            ),
            (
                &[("ALL_PROXY", PROXY), ("NO_PROXY", "9.8.0.0/16")],
                "https://9.9.9.9/",
                true,
            ),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(proxies(variables).apply_to(&url), expected, "{variables:?} {url}");
        }
    }

    #[test]
    fn a_proxys_password_is_in_no_debug_output() {
        let proxies = proxies(&[("HTTP_PROXY", "http://u:hunter2@p.example")]);
        assert!(!format!("{proxies:?}").contains("hunter2"));
    }
}
