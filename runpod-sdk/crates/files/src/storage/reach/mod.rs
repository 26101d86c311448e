//! How far URLs from jobs may reach: to what the public internet can, unless the escape hatch is open.

mod address;
mod proxies;
mod resolve;

use std::net::IpAddr;

use tracing::debug;

pub(crate) use proxies::Proxies;
pub(crate) use resolve::{CheckedLookup, Lookup, SystemLookup};

/// An address that the public internet cannot reach, and what it is instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has an address that is not public ({0})")]
pub(crate) struct NotPublic(pub(crate) &'static str);

/// Which addresses may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that the public internet can reach.
    Public,
    /// All: the escape hatch.
    Everything,
    /// Those of `Public` and these, which stand for public ones in tests.
    #[cfg(all(test, feature = "download"))]
    PublicAnd(Vec<IpAddr>),
}

impl Reach {
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), NotPublic> {
        match self {
            Self::Everything => return Ok(()),
            Self::Public => {}
            #[cfg(all(test, feature = "download"))]
            Self::PublicAnd(more) if more.contains(&address) => return Ok(()),
            #[cfg(all(test, feature = "download"))]
            Self::PublicAnd(_) => {}
        }
        match address::special(address) {
            Some(meaning) => {
                // The caller of the endpoint is not told the address: it would map this network.
                debug!(%address, meaning, "a URL of a job leads to an address that must not be reached");
                Err(NotPublic(meaning))
            }
            None => Ok(()),
        }
    }
}

/// Whether `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS` opens the escape hatch.
pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Reach {
    let open = lookup("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS")
        .is_some_and(|text| matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes"));
    if open { Reach::Everything } else { Reach::Public }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_opens_the_escape_hatch() {
        for (text, reach) in [
            ("1", Reach::Everything),
            ("true", Reach::Everything),
            (" YES ", Reach::Everything),
            ("0", Reach::Public),
            ("on", Reach::Public),
            ("", Reach::Public),
        ] {
            assert_eq!(from_lookup(|_| Some(text.to_owned())), reach, "{text}");
        }
        assert_eq!(from_lookup(|_| None), Reach::Public);
    }
}
