//! How our end of a connection looks to the other side.

use std::{net::IpAddr, sync::Arc};

use super::Credentials;

/// Where connections come from, and what they call themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Our addresses: the first one of the right version of IP that this machine has. With a proxy
    /// those that the proxy sends from, which is for it to see to. Empty: whatever the machine
    /// takes.
    pub addresses: Vec<IpAddr>,
    /// Our name in EHLO, in A-label form, when it is another than usual.
    pub ehlo_name: Option<Arc<str>>,
    /// Connections go through this SOCKS5 server.
    pub proxy: Option<Proxy>,
}

impl Origin {
    /// Whether an address of this version of IP can be connected to from here.
    pub fn reaches(&self, address: IpAddr) -> bool {
        let mut addresses = self.addresses.iter();
        self.addresses.is_empty() || addresses.any(|own| own.is_ipv4() == address.is_ipv4())
    }
}

/// A SOCKS5 server (RFC 1928).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Its addresses, at least one.
    pub addresses: Vec<IpAddr>,
    /// Its TCP port.
    pub port: u16,
    /// Log in there with these (RFC 1929).
    pub credentials: Option<Credentials>,
}
