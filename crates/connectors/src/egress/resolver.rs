//! Resolution under guard: the addresses handed to the connector are the ones that were checked, so that a name
//! cannot be resolved a second time into something else.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tollgate_core::ports::BoxFuture;

use super::address;

/// Looks names up. A seam for tests; the product asks the system.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of a host.
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|a| a.ip()).collect()) })
    }
}

/// Refused by the egress guard: never a matter of trying again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EgressRefused {
    /// The host as the URL names it.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
    /// What kind of address that is.
    pub why: &'static str,
}

impl fmt::Display for EgressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, why } = self;
        write!(
            f,
            "the egress guard refuses `{host}`: {address} is {why}; if the host is yours, name it in the connector's `egress.allow_private`"
        )
    }
}

impl std::error::Error for EgressRefused {}

impl EgressRefused {
    /// Finds the refusal in what a client reports.
    pub fn within<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(e) = next {
            if let Some(found) = e.downcast_ref::<Self>() {
                return Some(found);
            }
            next = e.source();
        }
        None
    }
}

/// What a client resolves names with.
pub(crate) struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    open: bool,
}

impl GuardedResolver {
    /// `open` lets private addresses through: only for a client that talks to hosts the connector names.
    pub fn new(lookup: Arc<dyn Lookup>, open: bool) -> Self {
        Self { lookup, open }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let found = self.lookup.lookup(host.clone());
        let open = self.open;
        Box::pin(async move {
            let mut addresses = found.await?;
            let mut refused = None;
            if !open {
                addresses.retain(|a| match address::refusal(*a) {
                    None => true,
                    Some(why) => {
                        refused = Some(EgressRefused { host: host.clone(), address: *a, why });
                        false
                    }
                });
            }
            match (addresses.is_empty(), refused) {
                (true, Some(refused)) => Err(refused.into()),
                (true, None) => Err(format!("`{host}` has no address").into()),
                (false, _) => Ok(Box::new(addresses.into_iter().map(|a| SocketAddr::new(a, 0))) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr as _;

    struct Fixed(Vec<IpAddr>);
    impl Lookup for Fixed {
        fn lookup(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
            let found = self.0.clone();
            Box::pin(async move { Ok(found) })
        }
    }

    async fn resolve(addresses: &[&str], open: bool) -> Result<Vec<IpAddr>, String> {
        let lookup = Arc::new(Fixed(addresses.iter().map(|a| a.parse().unwrap()).collect()));
        let found = GuardedResolver::new(lookup, open).resolve(Name::from_str("shop.example").unwrap()).await;
        found.map(|a| a.map(|s| s.ip()).collect()).map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn only_checked_addresses_reach_the_connector() {
        assert_eq!(resolve(&["10.0.0.1", "8.8.8.8", "::1"], false).await.unwrap(), ["8.8.8.8".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolve(&["10.0.0.1"], true).await.unwrap().len(), 1);
        let refused = resolve(&["169.254.169.254"], false).await.unwrap_err();
        assert!(refused.contains("`shop.example`") && refused.contains("metadata"), "{refused}");
        assert!(resolve(&[], false).await.unwrap_err().contains("no address"));
    }
}
