//! How many connections there may be: in total, and from one network (H1, H3).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Prefix lengths that are counted.
const IPV4: [u32; 3] = [32, 26, 21];
const IPV6: [u32; 3] = [64, 48, 32];

/// A network: prefix length and leading bits.
type Network = (u32, u128);

/// Counts open connections.
#[derive(Debug)]
pub(crate) struct Gate {
    total: usize,
    per_network: [usize; 3],
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    networks: HashMap<Network, usize>,
}

/// A connection that was let in; lets the next one in when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    networks: [Network; 3],
}

impl Gate {
    pub(crate) fn new(total: usize, per_network: [usize; 3]) -> Self {
        Self { total, per_network, open: Mutex::default() }
    }

    /// Lets a client in unless there are too many already.
    pub(crate) fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Pass> {
        let networks = networks(client);
        let mut open = self.open();
        let count = |network: &Network| open.networks.get(network).copied().unwrap_or(0);
        let full =
            networks.iter().zip(self.per_network).any(|(network, most)| count(network) >= most);
        if full || open.total >= self.total {
            return None;
        }
        open.total += 1;
        for network in networks {
            *open.networks.entry(network).or_default() += 1;
        }
        drop(open);
        Some(Pass { gate: self.clone(), networks })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open();
        open.total = open.total.saturating_sub(1);
        for network in &self.networks {
            let left = open.networks.get(network).copied().unwrap_or(0).saturating_sub(1);
            if left == 0 {
                open.networks.remove(network);
            } else {
                open.networks.insert(*network, left);
            }
        }
    }
}

fn networks(client: IpAddr) -> [Network; 3] {
    match client.to_canonical() {
        // IPv4 stands above all of IPv6, so that the two never meet.
        IpAddr::V4(ip) => IPV4.map(|prefix| {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            (prefix + 128, u128::from(ip.to_bits() & mask))
        }),
        IpAddr::V6(ip) => IPV6.map(|prefix| (prefix, ip.to_bits() >> (128 - prefix))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(gate: &Arc<Gate>, client: &str) -> Option<Pass> {
        gate.enter(client.parse().unwrap())
    }

    #[test]
    fn networks_have_limits() {
        let gate = Arc::new(Gate::new(100, [1, 2, 3]));
        let first = enter(&gate, "192.0.2.1").unwrap();
        assert!(enter(&gate, "192.0.2.1").is_none());
        assert!(enter(&gate, "::ffff:192.0.2.1").is_none());
        let second = enter(&gate, "192.0.2.2").unwrap();
        assert!(enter(&gate, "192.0.2.3").is_none(), "the /26 is full");
        let third = enter(&gate, "192.0.3.1").unwrap();
        assert!(enter(&gate, "192.0.4.1").is_none(), "the /21 is full");
        let elsewhere = enter(&gate, "198.51.100.1").unwrap();
        let six = enter(&gate, "2001:db8::1").unwrap();
        assert!(enter(&gate, "2001:db8::2").is_none(), "the /64 is full");
        drop(first);
        assert!(enter(&gate, "192.0.2.1").is_some());
        drop((second, third, elsewhere, six));
        assert!(gate.open().networks.is_empty());
    }

    #[test]
    fn the_total_has_a_limit() {
        let gate = Arc::new(Gate::new(2, [9, 9, 9]));
        let passes = [enter(&gate, "192.0.2.1").unwrap(), enter(&gate, "2001:db8::1").unwrap()];
        assert!(enter(&gate, "198.51.100.1").is_none());
        drop(passes);
        assert!(enter(&gate, "198.51.100.1").is_some());
    }
}
