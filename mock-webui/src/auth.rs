//! `--api-auth`: HTTP basic authentication (§10).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};

use crate::answer::Failure;
use crate::profile::Profile;

/// Checks the header against the allowed pairs. No pairs means that anyone may call.
pub(crate) fn check(
    profile: Profile,
    credentials: &[(String, String)],
    headers: &HeaderMap,
) -> Result<(), Failure> {
    if credentials.is_empty() {
        return Ok(());
    }
    let refuse = |text: &str| Err(Failure::deliberate(StatusCode::UNAUTHORIZED, text));
    let header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (scheme, encoded) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return refuse("Not authenticated");
    }
    let decoded = STANDARD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((user, password)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) else {
        return refuse("Invalid authentication credentials");
    };
    if credentials
        .iter()
        .any(|(known, secret)| known == user && secret == password)
    {
        Ok(())
    } else {
        refuse(if profile.is_sd_next() {
            "Unauthorized"
        } else {
            "Incorrect username or password"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(header: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert(header::AUTHORIZATION, header.parse().expect("a header value"));
        }
        match check(
            Profile::V1_10_1,
            &[("user".to_owned(), "pass".to_owned())],
            &headers,
        ) {
            Ok(()) => None,
            Err(Failure::Deliberate(StatusCode::UNAUTHORIZED, text)) => Some(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_right_pair_passes() {
        assert_eq!(refusal("Basic dXNlcjpwYXNz"), None);
        assert_eq!(
            refusal("Basic dXNlcjp3cm9uZw==").as_deref(),
            Some("Incorrect username or password")
        );
        assert_eq!(refusal("").as_deref(), Some("Not authenticated"));
        assert_eq!(refusal("Bearer abc").as_deref(), Some("Not authenticated"));
        assert_eq!(
            refusal("Basic !!!").as_deref(),
            Some("Invalid authentication credentials")
        );
    }
}
