//! Which addresses URLs from jobs may lead to, so that a job cannot reach services that only this machine can reach.

mod address;
mod policy;
mod proxies;
mod resolver;

#[cfg(feature = "download")]
pub(super) use policy::remedy;
pub(super) use policy::{EgressPolicy, NotPublic};
pub(super) use proxies::Proxies;
pub(super) use resolver::{CheckedResolver, NameLookup, SystemLookup};
