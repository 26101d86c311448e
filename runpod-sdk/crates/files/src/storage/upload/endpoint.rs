//! What an endpoint's URL says: the region, possibly the bucket, and how the bucket is addressed.
//!
//! Signatures contain the region, so storage refuses a wrong one. Users paste what their provider shows them, with the
//! bucket in the host, in the path, or nowhere.

use reqwest::Url;

/// The region for storage whose URL names none. Most S3-compatible storage accepts it.
const ANY_REGION: &str = "us-east-1";
/// The domains of providers whose hosts may begin with a bucket.
const KNOWN: [&str; 5] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "backblazeb2.com",
    "digitaloceanspaces.com",
    "wasabisys.com",
];
const R2: &str = "r2.cloudflarestorage.com";

/// An endpoint without the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https://s3.eu-west-1.amazonaws.com`, without a slash at the end.
    pub(super) base: Url,
    pub(super) region: String,
    /// The bucket that the URL named.
    pub(super) bucket: Option<String>,
    /// Whether requests should name the bucket in the host rather than in the path.
    pub(super) bucket_in_host: bool,
}

impl Endpoint {
    /// Reads an endpoint's URL. The error is the problem in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some((scheme, rest)) = text.split_once("://")
            && (rest.contains("://")
                || ["http:", "https:"]
                    .iter()
                    .any(|twice| starts_with_ignoring_case(rest, twice)))
        {
            return Err(format!("{scheme}:// is followed by another scheme; give one"));
        }
        let mut base = Url::parse(text).map_err(|problem| format!("not a URL: {problem}"))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(format!("{} is not a scheme of S3; use https", base.scheme()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err("it holds a user name or a password; those have settings of their own".to_owned());
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err("it has a query or a fragment, which an endpoint has not".to_owned());
        }
        let host = base
            .host_str()
            .unwrap_or_default()
            .trim_end_matches('.')
            .to_owned();
        let parsed = ParsedHost::of(&host);
        let mut bucket = parsed.bucket.map(str::to_owned);
        let bucket_in_host = bucket.is_some() || parsed.provider == Provider::Aws;
        if base.set_host(Some(parsed.host)).is_err() {
            return Err("its host is not a name".to_owned());
        }
        if parsed.provider != Provider::Other {
            let path = base.path().trim_matches('/').to_owned();
            match (path.as_str(), &bucket) {
                ("", _) => {}
                (path, None) if !path.contains('/') => bucket = Some(path.to_owned()),
                _ => return Err("it has a path that is more than a bucket's name".to_owned()),
            }
            base.set_path("");
        }
        Ok(Self {
            base,
            region: parsed.region,
            bucket,
            bucket_in_host,
        })
    }

    /// The same endpoint for a bucket of this name, which its path may name as well.
    pub(super) fn naming(mut self, name: Option<&str>) -> Self {
        let path = self.base.path().trim_end_matches('/');
        if let (Some(name), Some((before, last))) = (name, path.rsplit_once('/'))
            && last == name
        {
            let before = before.to_owned();
            self.base.set_path(&before);
            self.bucket = Some(name.to_owned());
        }
        self
    }

    /// The same endpoint in another region. AWS has a host for each; other storage is asked where it is.
    pub(super) fn in_region(mut self, region: &str) -> Self {
        let host = self.base.host_str().unwrap_or_default();
        if is_aws(host) {
            let host = if host.contains(&self.region) {
                host.replace(&self.region, region)
            } else {
                // The host without a region is that of the first one.
                host.replacen(".amazonaws", &format!(".{region}.amazonaws"), 1)
            };
            // A region has no character that a host cannot have.
            let _ = self.base.set_host(Some(&host));
        }
        region.clone_into(&mut self.region);
        self
    }

    /// The URL for requests to `bucket`. The error is the problem in words.
    pub(super) fn of_bucket(&self, bucket: &str, in_host: bool) -> Result<Url, String> {
        let mut url = self.base.clone();
        if in_host && let Some(host) = self.base.host_str() {
            let host = format!("{bucket}.{host}");
            url.set_host(Some(&host))
                .map_err(|problem| format!("{bucket:?} has no place in a host's name: {problem}"))?;
        }
        Ok(url)
    }
}

/// Whose host it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    Aws,
    /// One of [`KNOWN`], or R2.
    Known,
    Other,
}

/// The parts of an endpoint's host.
struct ParsedHost<'a> {
    host: &'a str,
    region: String,
    bucket: Option<&'a str>,
    provider: Provider,
}

impl<'a> ParsedHost<'a> {
    fn of(host: &'a str) -> Self {
        let other = |region: &str| Self {
            host,
            region: region.to_owned(),
            bucket: None,
            provider: Provider::Other,
        };
        if let Some(accounts) = under(host, R2) {
            // `account`, `account.eu`, `bucket.account`: an account is 32 hexadecimal digits.
            let account = labels(accounts)
                .find(|(_, label)| label.len() == 32 && label.bytes().all(|b| b.is_ascii_hexdigit()));
            return Self::split(host, account.map_or(0, |(at, _)| at), "auto", Provider::Known);
        }
        if let Some(name) = under(host, "digitaloceanspaces.com") {
            let (at, region) = labels(name).last().unwrap_or_default();
            return Self::split(host, at, region, Provider::Known);
        }
        if let Some(datacenter) = under(host, "runpod.io").and_then(|name| name.strip_prefix("s3api-")) {
            return other(&datacenter.to_ascii_uppercase());
        }
        let Some((at, service)) = labels(host).find(|(_, label)| *label == "s3" || label.starts_with("s3-"))
        else {
            return other(ANY_REGION);
        };
        let after = &host[at + service.len()..];
        let after = after.strip_prefix(".dualstack").unwrap_or(after);
        let after = after.trim_start_matches('.');
        let region = match service.strip_prefix("s3-") {
            Some("fips") | None => after.split_once('.'),
            Some(region) => Some((region, after)),
        };
        // Without a dot behind it, the label belongs to the domain: `s3.wasabisys.com` has no region.
        let region = region
            .filter(|(_, domain)| domain.contains('.'))
            .map_or(ANY_REGION, |(region, _)| region);
        if is_aws(host) {
            Self::split(host, at, region, Provider::Aws)
        } else if KNOWN.iter().any(|known| under(host, known).is_some()) {
            Self::split(host, at, region, Provider::Known)
        } else {
            other(region)
        }
    }

    /// Takes the part of the host before position `at` as the bucket.
    fn split(host: &'a str, at: usize, region: &str, provider: Provider) -> Self {
        Self {
            host: &host[at..],
            region: region.to_owned(),
            bucket: at.checked_sub(1).map(|dot| &host[..dot]),
            provider,
        }
    }
}

fn is_aws(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

/// The part of a host before `domain`.
fn under<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    host.strip_suffix(domain)?.strip_suffix('.')
}

/// The labels of a host with their positions.
fn labels(host: &str) -> impl Iterator<Item = (usize, &str)> {
    host.split('.').scan(0, |at, label| {
        let here = *at;
        *at += label.len() + 1;
        Some((here, label))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What providers show to their users, and what users type.
    const SHOWN: &[&str] = &[
        "https://s3.us-west-2.amazonaws.com",
        "https://s3.us-west-2.amazonaws.com/",
        "https://pics.s3.eu-west-1.amazonaws.com",
        "https://my.pics.s3.eu-west-1.amazonaws.com",
        "https://s3.amazonaws.com/pics",
        "https://pics.s3.amazonaws.com",
        "https://s3-eu-west-1.amazonaws.com",
        "https://s3.dualstack.eu-west-1.amazonaws.com",
        "https://s3-fips.us-gov-west-1.amazonaws.com",
        "https://s3.cn-north-1.amazonaws.com.cn",
        "https://nyc3.digitaloceanspaces.com",
        "https://pics.nyc3.digitaloceanspaces.com",
        "https://s3.eu-central-003.backblazeb2.com",
        "https://s3.wasabisys.com",
        "https://s3.ap-northeast-1.wasabisys.com/pics",
        "https://s3.fr-par.scw.cloud",
        "https://s3.gra.io.cloud.ovh.net",
        "https://s3api-eur-is-1.runpod.io/",
        "http://127.0.0.1:9000",
        "http://[::1]:9000",
        "http://minio:9000/",
        "https://s3.example.com",
        "https://x.supabase.co/storage/v1/s3",
        "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
        "https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com",
        "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com/pics",
        "https://pics.0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
    ];

    #[test]
    fn what_providers_show_is_understood() {
        let line = |text: &&str| {
            let Endpoint {
                base,
                region,
                bucket,
                bucket_in_host,
            } = Endpoint::parse(text).unwrap();
            let bucket = bucket.unwrap_or_else(|| "-".to_owned());
            let style = if bucket_in_host { "host" } else { "path" };
            format!("{text}\n    {base} region {region}, bucket {bucket} in the {style}\n")
        };
        let table: String = SHOWN.iter().map(line).collect();
        insta::assert_snapshot!(table);
    }

    #[test]
    fn what_is_no_endpoint_is_explained() {
        for (text, problem) in [
            ("s3.amazonaws.com", "not a URL"),
            ("", "not a URL"),
            ("ftp://s3.amazonaws.com", "not a scheme of S3"),
            ("s3://bucket", "not a scheme of S3"),
            ("https://https://s3.amazonaws.com", "followed by another scheme"),
            ("https://HTTP://minio:9000", "followed by another scheme"),
            ("https://https:s3.amazonaws.com", "followed by another scheme"),
            ("http://s3://pics", "followed by another scheme"),
            ("https://key:secret@s3.amazonaws.com", "user name or a password"),
            ("https://s3.amazonaws.com/?x", "query"),
            ("https://s3.amazonaws.com/a/b", "more than a bucket"),
            ("https://pics.s3.amazonaws.com/a", "more than a bucket"),
        ] {
            let found = Endpoint::parse(text).unwrap_err();
            assert!(found.contains(problem), "{text}: {found}");
        }
    }

    #[test]
    fn a_bucket_that_the_path_names_as_well_is_no_part_of_the_base() {
        for (text, base) in [
            ("http://minio:9000/pics", "http://minio:9000/"),
            ("http://minio:9000/s3/pics/", "http://minio:9000/s3"),
            ("http://minio:9000/s3", "http://minio:9000/s3"),
            ("http://minio:9000/other", "http://minio:9000/other"),
            ("http://minio:9000", "http://minio:9000/"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap().naming(Some("pics"));
            assert_eq!(endpoint.base.as_str(), base, "{text}");
        }
        let unnamed = Endpoint::parse("http://minio:9000/pics").unwrap().naming(None);
        assert_eq!(unnamed.base.as_str(), "http://minio:9000/pics");
    }

    #[test]
    fn another_region_of_aws_has_another_host() {
        for (text, host) in [
            ("https://s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"),
            ("https://s3-us-west-2.amazonaws.com", "s3-eu-west-1.amazonaws.com"),
            ("https://s3.amazonaws.com/pics", "s3.eu-west-1.amazonaws.com"),
            ("https://minio.example", "minio.example"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap().in_region("eu-west-1");
            assert_eq!(
                (endpoint.base.host_str(), endpoint.region.as_str()),
                (Some(host), "eu-west-1")
            );
        }
    }

    #[test]
    fn a_bucket_stands_in_the_host_or_is_left_to_the_path() {
        let endpoint = Endpoint::parse("https://s3.eu-west-1.amazonaws.com:444").unwrap();
        assert_eq!(
            endpoint.of_bucket("a", true).unwrap().as_str(),
            "https://a.s3.eu-west-1.amazonaws.com:444/"
        );
        assert_eq!(
            endpoint.of_bucket("a", false).unwrap().as_str(),
            "https://s3.eu-west-1.amazonaws.com:444/"
        );
    }
}
