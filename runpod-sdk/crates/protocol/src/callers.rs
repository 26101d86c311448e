//! Which requests a server on this machine answers.
//!
//! Every web page that a user opens can reach a server on loopback: directly, from a foreign origin, or through a name
//! that a hostile DNS server points at 127.0.0.1. Neither gets an answer.

use std::fmt;
use std::net::IpAddr;

use ::http::uri::Authority;
use ::http::{HeaderMap, HeaderName, Uri, header};

/// A browser's statement of where its request comes from; other programs do not send it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The most characters of a host in a refusal.
const LONGEST_HOST: usize = 100;

/// Why a request is not answered. Its text is for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignRequest {
    /// It was sent to a name that is not this machine's.
    Host(String),
    /// A browser sent it for a page of another site.
    CrossSite,
}

impl fmt::Display for ForeignRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => {
                let host: String = host.chars().take(LONGEST_HOST).collect();
                write!(
                    f,
                    "forbidden: host `{}` is not this machine; use 127.0.0.1 or localhost, or allow the name",
                    host.escape_debug()
                )
            }
            Self::CrossSite => f.write_str("forbidden: requests from web pages of other sites are refused"),
        }
    }
}

/// Checks that the host of a request is a name of this machine's loopback, or one of `more`.
///
/// # Errors
///
/// [`ForeignRequest::Host`].
pub fn check_host(headers: &HeaderMap, uri: &Uri, more: &[String]) -> Result<(), ForeignRequest> {
    let host = host_of(headers, uri);
    let name = without_port(host);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_ours = name.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        || more.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is_ours {
        Ok(())
    } else {
        Err(ForeignRequest::Host(host.to_owned()))
    }
}

/// Checks that no browser sent the request on behalf of a page from somewhere else.
///
/// # Errors
///
/// [`ForeignRequest::CrossSite`].
pub fn check_site(headers: &HeaderMap, uri: &Uri) -> Result<(), ForeignRequest> {
    let host = host_of(headers, uri);
    let foreign_site =
        header_text(headers, &SEC_FETCH_SITE).is_some_and(|site| matches!(site, "cross-site" | "same-site"));
    let foreign_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        // `null`, for example from a sandboxed frame, has no host and is foreign too.
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.is_none_or(|(_, origin_host)| !origin_host.eq_ignore_ascii_case(host))
    });
    if foreign_site || foreign_origin {
        Err(ForeignRequest::CrossSite)
    } else {
        Ok(())
    }
}

/// Checks both for a server that listens at `address`. One that other machines may reach is behind a proxy or has a key
/// of its own, so there every request passes.
///
/// # Errors
///
/// The check that the request does not pass.
pub fn check_on_loopback(address: IpAddr, headers: &HeaderMap, uri: &Uri) -> Result<(), ForeignRequest> {
    if !address.is_loopback() {
        return Ok(());
    }
    check_host(headers, uri, &[])?;
    check_site(headers, uri)
}

fn host_of<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> &'r str {
    header_text(headers, &header::HOST)
        .or_else(|| uri.authority().map(Authority::as_str))
        .unwrap_or_default()
}

fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(header).collect()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let more = ["platform".to_owned()];
        let check = |host| check_host(&headers(&[("host", host)]), &Uri::from_static("/"), &more);
        for host in [
            "127.0.0.1:8000",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8000",
            "[::1]",
            "platform:80",
            "127.9.9.9",
        ] {
            assert_eq!(check(host), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil.example",
            "10.0.0.1",
            "0.0.0.0:80",
            "",
        ] {
            assert_eq!(check(host), Err(ForeignRequest::Host(host.to_owned())), "{host}");
        }
        let by_uri = Uri::from_static("http://evil.example/");
        assert!(check_host(&HeaderMap::new(), &by_uri, &more).is_err());
        assert!(check_host(&HeaderMap::new(), &Uri::from_static("http://localhost:1/"), &more).is_ok());
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_our_own_are_not() {
        let check = |name, value| {
            let headers = headers(&[("host", "localhost:8000"), (name, value)]);
            check_site(&headers, &Uri::from_static("/"))
        };
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "http://localhost:3000"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(check(name, value), Err(ForeignRequest::CrossSite), "{value}");
        }
        for (name, value) in [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
            ("origin", "http://localhost:8000"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{value}");
        }
    }

    #[test]
    fn a_server_that_other_machines_reach_answers_any_host() {
        let foreign = headers(&[("host", "pod.proxy.example"), ("origin", "https://site.example")]);
        let uri = Uri::from_static("/");
        assert_eq!(
            check_on_loopback(Ipv4Addr::UNSPECIFIED.into(), &foreign, &uri),
            Ok(())
        );
        assert!(check_on_loopback(Ipv4Addr::LOCALHOST.into(), &foreign, &uri).is_err());
    }

    #[test]
    fn a_refusal_repeats_no_more_of_a_host_than_its_beginning() {
        let text = ForeignRequest::Host(format!("a\u{7f}{}", "b".repeat(200))).to_string();
        assert!(text.contains("`a\\u{7f}bbb") && text.len() < 250, "{text}");
    }
}
