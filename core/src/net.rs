//! Networks in CIDR notation.

use std::{net::IpAddr, str::FromStr};

/// A network such as `192.0.2.0/24` or `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    prefix: u32,
    v4: bool,
}

/// The text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is written as address/prefix, such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct NetworkError;

impl Network {
    /// Whether `address` is in the network; IPv4-mapped addresses count as IPv4.
    pub fn has(&self, address: IpAddr) -> bool {
        let (bits, v4) = to_bits(address.to_canonical());
        v4 == self.v4 && (bits ^ self.bits) & mask(self.prefix) == 0
    }

    /// Whether all of `other` is in the network.
    pub fn covers(&self, other: &Self) -> bool {
        let within = self.prefix <= other.prefix && self.v4 == other.v4;
        within && (self.bits ^ other.bits) & mask(self.prefix) == 0
    }
}

/// IPv4 addresses stand in the highest 32 bits.
fn to_bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    }
}

fn mask(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => digits.parse().ok().filter(|n| *n <= longest).ok_or(NetworkError)?,
        };
        let (bits, v4) = to_bits(address);
        Ok(Self { bits: bits & mask(prefix), prefix, v4 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let has = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().has(address.parse().unwrap())
        };
        assert!(has("192.0.2.0/24", "192.0.2.255"));
        assert!(has("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(!has("192.0.2.0/24", "192.0.3.0"));
        assert!(!has("0.0.0.0/0", "::1"));
        assert!(has("::/0", "2001:db8::1"));
        assert!(has("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(has("127.0.0.1", "127.0.0.1"));
        assert!("192.0.2.0/33".parse::<Network>().is_err());
        assert!("x/8".parse::<Network>().is_err());
    }
}
