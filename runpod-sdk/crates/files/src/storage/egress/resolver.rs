//! The check between the look-up of a name and the connection.
//!
//! The HTTP client connects to the addresses that come from here and to no others, so an address that changes after the
//! check (DNS rebinding) is not connected to. `Host`, SNI and the certificate are still those of the name.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::policy::EgressPolicy;

/// Why a name has no addresses to connect to.
pub(crate) type LookupError = Box<dyn Error + Send + Sync>;

/// Looks names up.
pub(crate) trait NameLookup: Send + Sync {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

impl NameLookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Looks names up, and refuses a name if even one of its addresses must not be reached: it is a matter of chance which
/// of them a connection takes.
pub(crate) struct CheckedResolver {
    pub(crate) names: Arc<dyn NameLookup>,
    pub(crate) policy: EgressPolicy,
}

impl CheckedResolver {
    /// The addresses of a name. The error is [`NotPublic`](super::policy::NotPublic) if one of them must not be reached.
    pub(crate) fn look_up(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, LookupError>> {
        let (lookup, policy) = (self.names.lookup(name), self.policy.clone());
        Box::pin(async move {
            let addresses = lookup.await?;
            for address in &addresses {
                policy.check(*address)?;
            }
            Ok(addresses)
        })
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let looking_up = self.look_up(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = looking_up.await?;
            // Port 0 stands for the port of the URL.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl fmt::Debug for CheckedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedResolver")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
