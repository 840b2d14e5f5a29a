//! Slowing down those who guess passwords, shared by all doors (H4).

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;

use crate::error::{Error, Result};

const WINDOW: Duration = Duration::from_mins(1);
const FAILURES: u32 = 10;

/// Failed logins of the last minute, by IPv4 address or IPv6 /64.
pub(crate) struct Throttle {
    failures: Cache<IpAddr, Arc<AtomicU32>>,
}

impl Default for Throttle {
    fn default() -> Self {
        let failures = Cache::builder().max_capacity(100_000).time_to_live(WINDOW).build();
        Self { failures }
    }
}

impl Throttle {
    /// Refuses an address with too many failures.
    pub(crate) fn check(&self, address: Option<IpAddr>) -> Result<()> {
        let Some(address) = address.map(network) else {
            return Ok(());
        };
        let failures = self.failures.get(&address).map_or(0, |count| count.load(Ordering::Relaxed));
        if failures < FAILURES { Ok(()) } else { Err(Error::RateLimited { retry_after: WINDOW }) }
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, address: Option<IpAddr>) {
        let Some(address) = address.map(network) else {
            return;
        };
        self.failures.get_with(address, Arc::default).fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets the failures of an address that got in.
    pub(crate) fn succeeded(&self, address: Option<IpAddr>) {
        if let Some(address) = address.map(network) {
            self.failures.invalidate(&address);
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_after_ten_failures_from_one_network() {
        let throttle = Throttle::default();
        let address: Option<IpAddr> = Some("2001:db8::1".parse().unwrap());
        let neighbour: Option<IpAddr> = Some("2001:db8::2".parse().unwrap());
        for _ in 0..10 {
            assert!(throttle.check(address).is_ok());
            throttle.failed(address);
        }
        assert!(throttle.check(neighbour).is_err());
        assert!(throttle.check(Some("192.0.2.1".parse().unwrap())).is_ok());
        throttle.succeeded(address);
        assert!(throttle.check(neighbour).is_ok());
    }
}
