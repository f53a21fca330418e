//! The hosts that a connector may reach although their addresses are private.

use std::collections::BTreeSet;

use url::{Host, Url};

/// The `egress.allow_private` list, in the spelling that URLs are compared in.
#[derive(Clone, Default, Debug)]
pub(crate) struct AllowList {
    hosts: BTreeSet<String>,
    endpoints: BTreeSet<(String, u16)>,
}

impl AllowList {
    /// Reads the entries; says of each bad one what an entry looks like.
    pub fn parse(entries: &BTreeSet<String>) -> Result<Self, Vec<String>> {
        let mut list = Self::default();
        let mut faults = Vec::new();
        for entry in entries {
            match split(entry) {
                Some((host, None)) => {
                    list.hosts.insert(host);
                }
                Some((host, Some(port))) => {
                    list.endpoints.insert((host, port));
                }
                None => faults.push(format!(
                    "`{entry}` is not a host: write `host` or `host:port` without a scheme, a path or wildcards, such as `127.0.0.1:8080`"
                )),
            }
        }
        if faults.is_empty() { Ok(list) } else { Err(faults) }
    }

    /// Whether the URL's host, or its host and port, is named.
    pub fn names(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        self.hosts.contains(host) || url.port_or_known_default().is_some_and(|p| self.endpoints.contains(&(host.to_owned(), p)))
    }

    /// Whether anything is named.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.endpoints.is_empty()
    }
}

/// Host and port in the spelling of the URL standard: lower case, IPv6 in brackets, IPv4 in four numbers.
fn split(entry: &str) -> Option<(String, Option<u16>)> {
    let bare_v6 = entry.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !bare_v6 && !entry.ends_with(']') => {
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            (host, Some(if digits { port.parse().ok()? } else { return None }))
        }
        _ => (entry, None),
    };
    let host = if bare_v6 { format!("[{host}]") } else { host.to_owned() };
    if host.is_empty() || host.contains(['*', '/', '@']) {
        return None;
    }
    Some((Host::parse(&host).ok()?.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Result<AllowList, Vec<String>> {
        AllowList::parse(&entries.iter().map(|e| (*e).to_owned()).collect())
    }

    #[test]
    fn hosts_and_endpoints_are_told_apart() {
        let list = list(&["Orders.local", "127.0.0.1:8080", "::1", "[fd00::1]:9"]).unwrap();
        for (url, named) in [
            ("http://orders.local/x", true),
            ("https://orders.local:9/x", true),
            ("http://127.0.0.1:8080/", true),
            ("http://0x7f.1:8080/", true),
            ("http://127.0.0.1:8081/", false),
            ("http://127.0.0.1/", false),
            ("http://[::1]:7/", true),
            ("http://[fd00::1]:9/", true),
            ("http://[fd00::1]/", false),
            ("http://evil.orders.local/", false),
        ] {
            assert_eq!(list.names(&Url::parse(url).unwrap()), named, "{url}");
        }
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for bad in ["http://x", "*.local", "x/y", "", "a:b", "x:", "x:99999", "u@x"] {
            assert!(list(&[bad]).is_err(), "{bad}");
        }
    }
}
