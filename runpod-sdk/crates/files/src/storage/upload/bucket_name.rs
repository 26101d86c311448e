//! The name of a bucket.

use std::time::SystemTime;

use super::endpoint::Endpoint;

/// The given bucket, else the one that the endpoint's URL names, else the month's.
pub(super) fn of(given: Option<String>, endpoint: &Endpoint) -> Result<String, String> {
    let name = match (given, &endpoint.bucket) {
        (Some(given), Some(named)) if given != *named => {
            return Err(format!(
                "the bucket is called {given:?}, but the endpoint's URL names {named:?}"
            ));
        }
        (Some(given), _) => given,
        (None, Some(named)) => named.clone(),
        (None, None) => month(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !(1..=255).contains(&name.len()) || !name.chars().all(plain) || name.starts_with('.') {
        return Err(format!("{name:?} is not a bucket's name"));
    }
    Ok(name)
}

/// The current month in UTC as `MM-YY`, which is how Python's SDK names buckets.
fn month() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    // The text is `2026-01-31T…`.
    format!("{}-{}", &now[5..7], &now[2..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_bucket_must_be_the_one_that_the_endpoint_names() {
        let named = Endpoint::parse("https://pics.s3.eu-west-1.amazonaws.com").unwrap();
        let open = Endpoint::parse("https://s3.eu-west-1.amazonaws.com").unwrap();
        assert_eq!(of(None, &named).unwrap(), "pics");
        assert_eq!(of(Some("pics".into()), &named).unwrap(), "pics");
        assert_eq!(of(Some("other".into()), &open).unwrap(), "other");
        assert!(
            of(Some("other".into()), &named)
                .unwrap_err()
                .contains("names \"pics\"")
        );
    }

    #[test]
    fn without_a_name_the_bucket_is_the_months() {
        let open = Endpoint::parse("http://minio:9000").unwrap();
        let name = of(None, &open).unwrap();
        let (month, year) = name.split_once('-').unwrap();
        assert!((1..=12).contains(&month.parse::<u32>().unwrap()), "{name}");
        assert!(year.len() == 2 && year.parse::<u32>().unwrap() >= 25, "{name}");
    }

    #[test]
    fn names_that_are_no_buckets_are_refused() {
        let open = Endpoint::parse("http://minio:9000").unwrap();
        for name in ["", "a/b", "..", "a b", "a?b", "a@b"] {
            assert!(of(Some(name.to_owned()), &open).is_err(), "{name:?}");
        }
    }
}
