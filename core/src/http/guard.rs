//! Guard against requests into networks that are not public (SSRF).
//!
//! The address is checked at the moment of connecting, on what will be connected to: a name that
//! resolves to something else than before gains nothing. The machine's own public addresses are not
//! known here and count as public.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, LazyLock},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::{
    error::{Error, FieldError, Result},
    net::Network,
    ports::{DnsError, Resolver},
};

/// Special-purpose networks (RFC 6890 and its registries) that no request goes to.
const DENIED: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // Unspecified, loopback and IPv4-compatible addresses.
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

static DENIED_NETWORKS: LazyLock<Vec<Network>> =
    LazyLock::new(|| DENIED.iter().filter_map(|network| network.parse().ok()).collect());

/// Whether `address` is one of the public Internet.
fn is_public(address: IpAddr) -> bool {
    // ::ffff:0:0/96 is refused even when the IPv4 address in it is public: nobody needs it.
    let is_mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    !is_mapped && !DENIED_NETWORKS.iter().any(|network| network.has(address))
}

/// Which addresses requests may go to.
#[derive(Debug)]
pub(crate) struct Policy {
    allowed: Vec<Network>,
}

/// Which ports a request goes to: to 80 and 443 everywhere, to others only in allowed networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    /// 80 or 443.
    Usual,
    /// Any other.
    Unusual,
}

impl Ports {
    pub(crate) fn of(url: &Url) -> Self {
        match url.port_or_known_default() {
            Some(80 | 443) => Self::Usual,
            _ => Self::Unusual,
        }
    }
}

impl Policy {
    pub(crate) fn new(networks: &[String]) -> Result<Self> {
        let parse = |network: &String| {
            network.parse().map_err(|error: crate::net::NetworkError| {
                Error::InvalidInput(vec![FieldError::new(
                    "/webhook_allowed_networks",
                    "invalid_network",
                    error.to_string(),
                )])
            })
        };
        Ok(Self { allowed: networks.iter().map(parse).collect::<Result<_>>()? })
    }

    /// Whether the administrator allows any network.
    pub(crate) const fn allows_some(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Whether a request may go to `address`.
    pub(crate) fn permits(&self, address: IpAddr, ports: Ports) -> bool {
        self.allowed.iter().any(|network| network.has(address))
            || (ports == Ports::Usual && is_public(address))
    }

    /// Whether a host that needs no look-up may be connected to; none: it needs one.
    pub(crate) fn permits_literal(&self, url: &Url) -> Option<bool> {
        let ports = Ports::of(url);
        match url.host()? {
            Host::Ipv4(v4) => Some(self.permits(v4.into(), ports)),
            Host::Ipv6(v6) => Some(self.permits(v6.into(), ports)),
            Host::Domain(name) if is_localhost(name) => {
                Some(LOCALHOST.iter().any(|address| self.permits(*address, ports)))
            }
            Host::Domain(_) => None,
        }
    }
}

const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// `localhost` and names below it are loopback, whatever DNS says (RFC 6761 §6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// No address of the host may be connected to. Says nothing of what the look-up gave.
#[derive(Debug, thiserror::Error)]
#[error("the host has no address that requests may be sent to")]
pub(crate) struct NoPermittedAddress;

type LookedUp = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, DnsError>> + Send>>;

/// Looks up the addresses of a host.
pub(crate) type Lookup = Arc<dyn Fn(String) -> LookedUp + Send + Sync>;

/// Looks up with `resolver`.
pub(crate) fn lookup_with(resolver: &Arc<dyn Resolver>) -> Lookup {
    let resolver = Arc::clone(resolver);
    Arc::new(move |host| {
        let resolver = Arc::clone(&resolver);
        Box::pin(async move { resolver.addresses(&host).await })
    })
}

/// Gives the HTTP client only addresses that it may connect to.
pub(crate) struct GuardedResolver {
    pub policy: Arc<Policy>,
    pub ports: Ports,
    pub lookup: Lookup,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, ports) = (Arc::clone(&self.policy), self.ports);
        let host = name.as_str().to_ascii_lowercase();
        let found = (!is_localhost(&host)).then(|| (self.lookup)(host));
        Box::pin(async move {
            let addresses = match found {
                Some(found) => found.await?,
                None => LOCALHOST.to_vec(),
            };
            let permitted: Vec<SocketAddr> = addresses
                .into_iter()
                .filter(|address| policy.permits(*address, ports))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if permitted.is_empty() {
                return Err(NoPermittedAddress.into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}

/// A policy that allows `networks`.
#[cfg(test)]
pub(crate) fn policy(networks: &[&str]) -> Policy {
    let networks: Vec<String> = networks.iter().map(|text| (*text).to_owned()).collect();
    Policy::new(&networks).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denied_network_is_well_formed() {
        assert_eq!(DENIED_NETWORKS.len(), DENIED.len());
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        let policy = policy(&[]);
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
        ];
        for text in refused {
            assert!(!policy.permits(text.parse().unwrap(), Ports::Usual), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_permitted_on_usual_ports_only() {
        let policy = policy(&[]);
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2003::1",
        ];
        for text in public {
            assert!(policy.permits(text.parse().unwrap(), Ports::Usual), "{text}");
            assert!(!policy.permits(text.parse().unwrap(), Ports::Unusual), "{text}");
        }
    }

    #[test]
    fn allowed_networks_are_open_on_every_port() {
        let policy = policy(&["127.0.0.0/8", "fd12::/16"]);
        for text in ["127.0.0.1", "::ffff:127.0.0.1", "fd12::1"] {
            assert!(policy.permits(text.parse().unwrap(), Ports::Unusual), "{text}");
        }
        for text in ["::1", "10.0.0.1", "fd13::1", "::ffff:10.0.0.1"] {
            assert!(!policy.permits(text.parse().unwrap(), Ports::Usual), "{text}");
        }
        assert!(Policy::new(&["127.0.0.0/33".to_owned()]).is_err());
    }

    async fn resolve(answer: &[&str], host: &str, allowed: &[&str]) -> Option<Vec<String>> {
        let answer: Vec<IpAddr> = answer.iter().map(|text| text.parse().unwrap()).collect();
        let lookup: Lookup = Arc::new(move |_| {
            let answer = answer.clone();
            Box::pin(async move { Ok(answer) })
        });
        let policy = Arc::new(policy(allowed));
        let guard = GuardedResolver { policy, ports: Ports::Usual, lookup };
        let addresses = guard.resolve(host.parse().unwrap()).await.ok()?;
        Some(addresses.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn only_permitted_addresses_are_handed_on() {
        let mixed = ["10.0.0.1", "8.8.8.8", "::1"];
        assert_eq!(resolve(&mixed, "a.test", &[]).await.unwrap(), ["8.8.8.8"]);
        assert_eq!(resolve(&["169.254.169.254"], "a.test", &[]).await, None);
        assert_eq!(resolve(&["8.8.8.8"], "localhost", &[]).await, None);
        assert_eq!(resolve(&["8.8.8.8"], "a.LOCALHOST", &[]).await, None);
        let loopback = resolve(&["8.8.8.8"], "localhost", &["127.0.0.0/8"]).await;
        assert_eq!(loopback.unwrap(), ["127.0.0.1"]);
    }
}
