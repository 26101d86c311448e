//! The rule about addresses.

use std::net::IpAddr;

use tracing::debug;

use super::address;

/// The environment variable that allows URLs from jobs to lead anywhere.
const ALLOW_PRIVATE: &str = "RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS";

/// An address that the public internet cannot reach, with its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has an address that is not public ({0})")]
pub(crate) struct NotPublic(pub(crate) &'static str);

/// Which addresses a client may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EgressPolicy {
    /// Addresses that the public internet can reach.
    PublicOnly,
    /// All addresses.
    Any,
    /// Those of `PublicOnly` and these, which stand for public ones in tests.
    #[cfg(all(test, feature = "download"))]
    PublicAnd(Vec<IpAddr>),
}

impl EgressPolicy {
    /// `Any` if `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS` is `1`, `true` or `yes`, else `PublicOnly`.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let open = lookup(ALLOW_PRIVATE)
            .is_some_and(|text| matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes"));
        if open { Self::Any } else { Self::PublicOnly }
    }

    pub(crate) fn check(&self, address: IpAddr) -> Result<(), NotPublic> {
        match self {
            Self::Any => return Ok(()),
            Self::PublicOnly => {}
            #[cfg(all(test, feature = "download"))]
            Self::PublicAnd(more) if more.contains(&address) => return Ok(()),
            #[cfg(all(test, feature = "download"))]
            Self::PublicAnd(_) => {}
        }
        match address::special(address) {
            Some(meaning) => {
                // Only the log has the address. In an answer, it would let the caller map this network.
                debug!(%address, meaning, "a URL of a job leads to an address that must not be reached");
                Err(NotPublic(meaning))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_opens_the_escape_hatch() {
        for (text, policy) in [
            ("1", EgressPolicy::Any),
            ("true", EgressPolicy::Any),
            (" YES ", EgressPolicy::Any),
            ("0", EgressPolicy::PublicOnly),
            ("on", EgressPolicy::PublicOnly),
            ("", EgressPolicy::PublicOnly),
        ] {
            assert_eq!(
                EgressPolicy::from_lookup(|_| Some(text.to_owned())),
                policy,
                "{text}"
            );
        }
        assert_eq!(EgressPolicy::from_lookup(|_| None), EgressPolicy::PublicOnly);
    }
}
