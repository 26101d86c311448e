//! Who may talk to the platform: this machine's own programs ([`callers`]), and those that have the key.

use http::{HeaderMap, StatusCode, Uri, header};
use runpod_protocol::callers::{self, ForeignRequest};
use secrecy::{ExposeSecret, SecretString};

use super::refused::Refused;

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
    Foreign(ForeignRequest),
    Key,
}

impl From<ForeignRequest> for AccessDenied {
    fn from(foreign: ForeignRequest) -> Self {
        Self::Foreign(foreign)
    }
}

impl From<AccessDenied> for Refused {
    fn from(refusal: AccessDenied) -> Self {
        let (status, text) = match refusal {
            AccessDenied::Foreign(foreign) => (StatusCode::FORBIDDEN, foreign.to_string()),
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
        if self.loopback_only {
            callers::check_host(headers, uri, &self.hosts)?;
        }
        callers::check_site(headers, uri)?;
        if !wants_key || self.has_key(headers) {
            Ok(())
        } else {
            Err(AccessDenied::Key)
        }
    }

    fn has_key(&self, headers: &HeaderMap) -> bool {
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .map(bare_key)
            .filter(|key| !key.is_empty());
        match (&self.key, sent) {
            (Some(key), Some(sent)) => same(key.expose_secret().as_bytes(), sent.as_bytes()),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }
}

/// Clients send `Bearer <key>`, workers and some documented examples the bare key.
fn bare_key(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => value.trim(),
    }
}

/// Compares in a time that does not depend on where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

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
    fn other_hosts_are_refused_on_loopback_and_pages_of_other_sites_everywhere() {
        let (own, foreign) = (("host", "platform:80"), ("host", "gpu-box:80"));
        let denied = |result: Result<(), AccessDenied>| matches!(result, Err(AccessDenied::Foreign(_)));
        let mut access = access(None);
        assert_eq!(check(&access, &[own]), Ok(()));
        assert!(denied(check(&access, &[foreign])));
        access.loopback_only = false;
        assert_eq!(check(&access, &[foreign]), Ok(()));
        assert!(denied(check(
            &access,
            &[foreign, ("origin", "https://evil.example")]
        )));
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
