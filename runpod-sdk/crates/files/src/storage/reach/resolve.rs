//! The check between looking a name up and connecting to it.
//!
//! The HTTP client connects to the addresses that come from here and to no others. So what has been
//! checked is what is connected to, however often the name's owner changes its mind; `Host`, SNI and
//! the certificate are still those of the name.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Reach;

/// Where names are looked up.
pub(crate) trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's own resolver.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Looks names up and refuses those that have even one address that must not be reached: which of them
/// a connection would take is chance.
pub(crate) struct CheckedLookup {
    pub(crate) names: Arc<dyn Lookup>,
    pub(crate) reach: Reach,
}

impl Resolve for CheckedLookup {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, reach) = (self.names.lookup(name.as_str().to_owned()), self.reach.clone());
        Box::pin(async move {
            let addresses = lookup.await?;
            for address in &addresses {
                reach.check(*address)?;
            }
            // Port 0 stands for the URL's.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl fmt::Debug for CheckedLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedLookup")
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}
