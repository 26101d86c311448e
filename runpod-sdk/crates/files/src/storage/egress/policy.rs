//! The rule about addresses.

use std::net::IpAddr;

use runpod_protocol::variable;
use tracing::debug;

use super::address;

/// The environment variable that allows URLs from jobs to lead anywhere.
const ALLOW_PRIVATE: &str = "RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS";

/// The end of a message about an address that is not public: the remedy, on a machine that is no worker. On a worker the
/// address is a job's mistake, and the variable would open its network to every caller.
pub(crate) fn remedy(meaning: &str) -> &'static str {
    remedy_where(meaning, std::env::var_os(variable::WORKER_ID).is_some())
}

fn remedy_where(meaning: &str, on_worker: bool) -> &'static str {
    match meaning {
        "loopback" | "private" if !on_worker => {
            "; on this machine, which is no worker, RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS=1 allows it"
        }
        _ => "",
    }
}

/// An address that the public internet cannot reach, with its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has an address that is not public ({meaning}){}", remedy(.0), meaning = .0)]
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
    fn the_remedy_is_for_addresses_of_this_machine_that_is_no_worker() {
        for (meaning, on_worker, named) in [
            ("loopback", false, true),
            ("private", false, true),
            ("link-local", false, false),
            ("loopback", true, false),
        ] {
            let remedy = remedy_where(meaning, on_worker);
            assert_eq!(remedy.contains(ALLOW_PRIVATE), named, "{meaning} {on_worker}");
        }
    }

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
