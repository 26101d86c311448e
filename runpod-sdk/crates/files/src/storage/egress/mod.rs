//! Which addresses URLs from jobs may lead to, so that a job cannot reach services that only this machine can reach.

mod address;
mod policy;
mod proxies;
mod resolver;

pub(super) use policy::{EgressPolicy, NotPublic, remedy};
pub(super) use proxies::Proxies;
pub(super) use resolver::{CheckedResolver, NameLookup, SystemLookup};
