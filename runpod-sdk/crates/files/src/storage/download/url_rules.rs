//! Which URLs may be requested, judged by the URL alone. The rules hold for the first URL and for each redirect.

use reqwest::Url;
use url::Host;

use super::error::Blocked;
use crate::storage::egress::{EgressPolicy, Proxies};

/// The rules of one downloader.
#[derive(Debug)]
pub(super) struct UrlRules {
    pub(super) egress: EgressPolicy,
    pub(super) proxies: Proxies,
}

impl UrlRules {
    /// Checks the URL itself. The addresses of a name are checked where it is looked up.
    ///
    /// The URL has been parsed as browsers do it: hosts such as `0x7f.1`, `2130706433` or `%3127.0.0.1` have become
    /// addresses, and international names are in ASCII.
    pub(super) fn check(&self, url: &Url) -> Result<(), Blocked> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Blocked::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Blocked::Credentials);
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.egress.check(address.into())?,
            Some(Host::Ipv6(address)) => self.egress.check(address.into())?,
            Some(Host::Domain(_)) => {}
            None => return Err(Blocked::Scheme(url.scheme().to_owned())),
        }
        if self.egress != EgressPolicy::Any && self.proxies.apply_to(url) {
            return Err(Blocked::Proxy);
        }
        Ok(())
    }

    /// The URL that a redirect leads to, if it may be followed.
    pub(super) fn follow(&self, from: &Url, location: &[u8]) -> Result<Url, Blocked> {
        let location = std::str::from_utf8(location).map_err(|_| Blocked::Redirect)?;
        let mut to = from.join(location).map_err(|_| Blocked::Redirect)?;
        to.set_fragment(None);
        if from.scheme() == "https" && to.scheme() == "http" {
            return Err(Blocked::Downgrade);
        }
        self.check(&to)?;
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(egress: EgressPolicy) -> UrlRules {
        let proxies = Proxies::from_lookup(|_| None);
        UrlRules { egress, proxies }
    }

    fn check(url: &str) -> Result<(), Blocked> {
        rules(EgressPolicy::PublicOnly).check(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_http_and_https_are_fetched() {
        for url in [
            "file:///etc/passwd",
            "ftp://a.example/x",
            "gopher://a.example/x",
            "data:,x",
            "ws://a.example/",
            "jar:http://a.example!/",
        ] {
            assert!(matches!(check(url), Err(Blocked::Scheme(_))), "{url}");
        }
        assert_eq!(check("HTTPS://a.example/x"), Ok(()));
        assert_eq!(check("http://a.example/x"), Ok(()));
    }

    #[test]
    fn every_spelling_of_an_inner_address_is_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://127.1/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://017700000001/",
            "http://0177.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
            "http://①②⑦.0.0.1/",
            "http://0/",
            "http:\\\\127.0.0.1\\x",
            "http:/127.0.0.1/",
            "http:127.0.0.1/",
            "http://127.0.0.1\t/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
            "http://[fd00:ec2::254]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "https://10.1.2.3:8443/",
        ] {
            assert!(matches!(check(url), Err(Blocked::Address(_))), "{url}");
        }
    }

    #[test]
    fn hosts_that_are_no_hosts_are_no_urls() {
        for url in [
            "http://",
            "http://[fe80::1%25eth0]/",
            "http://127.0.0.256/",
            "http://1.2.3.4.5/",
            "http://a b.example/",
            "http://a.example:99999/",
        ] {
            assert!(Url::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_user_name_in_a_url_is_refused() {
        for url in [
            "http://a.example@b.example/",
            "http://user:pass@b.example/",
            "http://:pass@b.example/",
        ] {
            assert_eq!(check(url), Err(Blocked::Credentials), "{url}");
        }
    }

    #[test]
    fn a_public_address_and_an_international_name_pass() {
        for url in [
            "http://8.8.8.8/",
            "http://[2606:4700::1111]/",
            "https://bücher.example/x",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn the_escape_hatch_lifts_the_address_rule_and_no_other() {
        let open = rules(EgressPolicy::Any);
        let check = |url: &str| open.check(&Url::parse(url).unwrap());
        assert_eq!(check("http://127.0.0.1/"), Ok(()));
        assert_eq!(check("http://[::1]/"), Ok(()));
        assert_eq!(check("http://u@127.0.0.1/"), Err(Blocked::Credentials));
        assert!(matches!(check("file:///etc/passwd"), Err(Blocked::Scheme(_))));
        let secure = Url::parse("https://127.0.0.1/").unwrap();
        assert_eq!(
            open.follow(&secure, b"http://127.0.0.1/"),
            Err(Blocked::Downgrade)
        );
    }

    #[test]
    fn the_escape_hatch_lifts_the_proxy_rule() {
        let proxies =
            || Proxies::from_lookup(|name| (name == "ALL_PROXY").then(|| "http://p.example".into()));
        let url = Url::parse("http://a.example/").unwrap();
        let closed = UrlRules {
            egress: EgressPolicy::PublicOnly,
            proxies: proxies(),
        };
        assert_eq!(closed.check(&url), Err(Blocked::Proxy));
        let open = UrlRules {
            egress: EgressPolicy::Any,
            proxies: proxies(),
        };
        assert_eq!(open.check(&url), Ok(()));
    }

    #[test]
    fn a_redirect_is_checked_like_the_first_url() {
        let from = Url::parse("https://a.example/dir/page?q").unwrap();
        let follow = |to: &str| rules(EgressPolicy::PublicOnly).follow(&from, to.as_bytes());
        assert_eq!(follow("../x#y").unwrap().as_str(), "https://a.example/x");
        assert_eq!(follow("//b.example/x").unwrap().as_str(), "https://b.example/x");
        assert_eq!(follow("http://b.example/x"), Err(Blocked::Downgrade));
        assert_eq!(follow("https://127.0.0.1/x"), Err(Blocked::Address("loopback")));
        assert_eq!(follow("//0x7f.1/x"), Err(Blocked::Address("loopback")));
        assert_eq!(follow("https://u:p@b.example/"), Err(Blocked::Credentials));
        assert_eq!(
            follow("file:///etc/passwd"),
            Err(Blocked::Scheme("file".to_owned()))
        );
        assert_eq!(follow("https://[x"), Err(Blocked::Redirect));
        assert_eq!(
            rules(EgressPolicy::PublicOnly).follow(&from, b"https://\xff/"),
            Err(Blocked::Redirect)
        );
    }
}
