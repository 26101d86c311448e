//! Who may talk to the platform.
//!
//! Every web page that a user opens can reach a server on loopback: directly, from a foreign origin, or through a name
//! that a hostile DNS server points at 127.0.0.1. Neither gets an answer.

use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use secrecy::{ExposeSecret, SecretString};

use super::refused::Refused;

/// A browser's statement of where its request comes from; other programs do not send it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[derive(Debug)]
pub(crate) struct Access {
    /// The key that clients and workers must send. Without one, any key or none will do.
    pub(crate) key: Option<SecretString>,
    /// Only names of this machine's loopback and `hosts` are good values of `Host`.
    pub(crate) loopback_only: bool,
    pub(crate) hosts: Vec<String>,
}

/// Why a request may not use the platform.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AccessDenied {
    Host(String),
    CrossSite,
    Key,
}

impl From<AccessDenied> for Refused {
    fn from(refusal: AccessDenied) -> Self {
        let (status, text) = match refusal {
            AccessDenied::Host(host) => (
                StatusCode::FORBIDDEN,
                format!(
                    "forbidden: host `{host}` is not this machine; use 127.0.0.1 or localhost, or allow the name"
                ),
            ),
            AccessDenied::CrossSite => (
                StatusCode::FORBIDDEN,
                "forbidden: requests from web pages of other sites are refused".to_owned(),
            ),
            AccessDenied::Key => (
                StatusCode::UNAUTHORIZED,
                "unauthorized: the API key is missing or wrong; send it as `Authorization: Bearer <key>`"
                    .to_owned(),
            ),
        };
        Self::new(status, text)
    }
}

impl Access {
    pub(crate) fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), AccessDenied> {
        self.check_page(headers, uri, true)
    }

    /// As [`check`](Self::check); a page may do without the key.
    pub(crate) fn check_page(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        wants_key: bool,
    ) -> Result<(), AccessDenied> {
        let host =
            header_text(headers, &header::HOST).or_else(|| uri.authority().map(http::uri::Authority::as_str));
        let host = host.unwrap_or_default();
        if self.loopback_only && !self.is_ours(host) {
            return Err(AccessDenied::Host(host.to_owned()));
        }
        if is_cross_site(headers, host) {
            return Err(AccessDenied::CrossSite);
        }
        if !wants_key || self.has_key(headers) {
            Ok(())
        } else {
            Err(AccessDenied::Key)
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host);
        let address = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || address
                .parse()
                .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn has_key(&self, headers: &HeaderMap) -> bool {
        let sent = header_text(headers, &header::AUTHORIZATION)
            .map(bare_key)
            .filter(|key| !key.is_empty());
        match (&self.key, sent) {
            (Some(key), Some(sent)) => same(key.expose_secret().as_bytes(), sent.as_bytes()),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }
}

fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a browser sent this on behalf of a page from somewhere else.
fn is_cross_site(headers: &HeaderMap, host: &str) -> bool {
    let foreign_site =
        header_text(headers, &SEC_FETCH_SITE).is_some_and(|site| matches!(site, "cross-site" | "same-site"));
    let foreign_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        // `null`, for example from a sandboxed frame, has no host and is foreign too.
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.is_none_or(|(_, origin_host)| !origin_host.eq_ignore_ascii_case(host))
    });
    foreign_site || foreign_origin
}

/// Clients send `Bearer <key>`, workers and some documented examples the bare key.
fn bare_key(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => value.trim(),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Compares in a time that does not depend on where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(key: Option<&str>) -> Access {
        let key = key.map(SecretString::from);
        Access {
            key,
            loopback_only: true,
            hosts: vec!["platform".to_owned()],
        }
    }

    fn check(access: &Access, headers: &[(&'static str, &'static str)]) -> Result<(), AccessDenied> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        access.check(&headers, &Uri::from_static("/"))
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in [
            "127.0.0.1:8000",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8000",
            "[::1]",
            "platform:80",
            "127.9.9.9",
        ] {
            assert_eq!(check(&access(None), &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil.example",
            "10.0.0.1",
            "",
        ] {
            assert_eq!(
                check(&access(None), &[("host", host)]),
                Err(AccessDenied::Host(host.to_owned())),
                "{host}"
            );
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_our_own_are_not() {
        let with = |name, value| check(&access(None), &[("host", "localhost:8000"), (name, value)]);
        assert_eq!(
            with("origin", "https://evil.example"),
            Err(AccessDenied::CrossSite)
        );
        assert_eq!(
            with("origin", "http://localhost:3000"),
            Err(AccessDenied::CrossSite)
        );
        assert_eq!(with("origin", "null"), Err(AccessDenied::CrossSite));
        assert_eq!(with("sec-fetch-site", "cross-site"), Err(AccessDenied::CrossSite));
        assert_eq!(with("sec-fetch-site", "same-origin"), Ok(()));
        assert_eq!(with("origin", "http://localhost:8000"), Ok(()));
    }

    #[test]
    fn a_key_is_taken_bare_or_as_bearer() {
        let with = |value| {
            check(
                &access(Some("k3y")),
                &[("host", "localhost"), ("authorization", value)],
            )
        };
        for good in ["k3y", "Bearer k3y", "bearer  k3y"] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        for bad in ["", "k3", "k3yy", "Bearer", "Basic k3y"] {
            assert_eq!(with(bad), Err(AccessDenied::Key), "{bad}");
        }
        assert_eq!(
            check(&access(Some("k3y")), &[("host", "localhost")]),
            Err(AccessDenied::Key)
        );
    }

    #[test]
    fn without_a_key_any_caller_will_do() {
        let access = access(None);
        assert_eq!(check(&access, &[("host", "localhost")]), Ok(()));
        assert_eq!(
            check(&access, &[("host", "localhost"), ("authorization", "any")]),
            Ok(())
        );
    }
}
