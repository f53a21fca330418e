//! The pooled HTTP clients of one connector.
//!
//! Two pools per connector: one that refuses private addresses, and, where the connector names hosts of its own, one
//! that only talks to those. Connections are never shared between the two or between connectors, so that no connection
//! can be used that its user's guard would have refused.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect, retry};
use url::{Host, Url};

use crate::egress::{AllowList, EgressRefused, GuardedResolver, Lookup, refusal};

/// Idle connections kept per host: enough for thousands of calls a second at a few milliseconds each.
const IDLE_PER_HOST: usize = 256;
/// Shorter than the idle time-out of common servers, so that a reused connection is rarely one they just closed.
const IDLE_FOR: Duration = Duration::from_secs(25);
/// A connector's own bound on connecting; the call's deadline may be shorter.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The clients of one connector.
pub(crate) struct Clients {
    guarded: Client,
    open: Option<Client>,
    allow: AllowList,
}

impl Clients {
    /// Builds the pools. Says why when the machine cannot do TLS at all.
    pub fn new(allow: AllowList, lookup: &Arc<dyn Lookup>) -> Result<Self, String> {
        let guarded = build(lookup, false)?;
        let open = if allow.is_empty() { None } else { Some(build(lookup, true)?) };
        Ok(Self { guarded, open, allow })
    }

    /// Whether the connector names the URL's host.
    pub fn is_named(&self, url: &Url) -> bool {
        self.allow.names(url)
    }

    /// The client for a URL. Hosts written as addresses never pass a resolver and are judged here.
    pub fn for_url(&self, url: &Url) -> Result<&Client, EgressRefused> {
        if let Some(open) = self.open.as_ref().filter(|_| self.allow.names(url)) {
            return Ok(open);
        }
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => v4.into(),
            Some(Host::Ipv6(v6)) => v6.into(),
            Some(Host::Domain(_)) | None => return Ok(&self.guarded),
        };
        match refusal(address) {
            None => Ok(&self.guarded),
            Some(why) => Err(EgressRefused { host: url.host_str().unwrap_or_default().to_owned(), address, why }),
        }
    }
}

fn build(lookup: &Arc<dyn Lookup>, open: bool) -> Result<Client, String> {
    let with_roots = || base(lookup, open).build();
    // A machine without root certificates (a bare container) still does plain HTTP inside its own network; https then
    // fails at each handshake, before anything is sent.
    with_roots().or_else(|_| base(lookup, open).tls_certs_only([]).build()).map_err(|e| format!("the HTTP client cannot be set up: {e}"))
}

fn base(lookup: &Arc<dyn Lookup>, open: bool) -> ClientBuilder {
    Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_WITHIN)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_FOR)
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(GuardedResolver::new(lookup.clone(), open)))
}
