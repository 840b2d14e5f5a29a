//! Addresses that could not be connected to a moment ago: all others are tried before them, also
//! those of less preferred hosts. Nobody waits again and again for a machine that is switched off.

use std::{net::IpAddr, time::Duration};

use moka::sync::Cache;

/// Most addresses that are remembered.
const MOST: u64 = 100_000;

/// What is remembered.
pub(super) struct Health {
    lost: Cache<IpAddr, ()>,
}

impl Health {
    /// Remembers each for `memory`.
    pub(super) fn new(memory: Duration) -> Self {
        Self { lost: Cache::builder().max_capacity(MOST).time_to_live(memory).build() }
    }

    /// Whether it could not be connected to.
    pub(super) fn is_lost(&self, address: IpAddr) -> bool {
        self.lost.contains_key(&address)
    }

    /// It could not be connected to.
    pub(super) fn lose(&self, address: IpAddr) {
        self.lost.insert(address, ());
    }

    /// It could.
    pub(super) fn find(&self, address: IpAddr) {
        if self.is_lost(address) {
            self.lost.invalidate(&address);
        }
    }
}
