//! What the caller of a private cluster may choose.

use std::path::PathBuf;

/// Whether commits survive a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fsync` and `synchronous_commit` on: for everything that holds mail or measures speed.
    Durable,
    /// No `fsync`: for tests only, whose data nobody misses.
    Throwaway,
}

/// Options of a private cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Whether commits survive a crash of the machine.
    pub durability: Durability,
    /// Size of Postgres's buffer cache.
    pub shared_buffers_mb: u32,
    /// How many connections it allows.
    pub max_connections: u32,
    /// Directory of the Postgres programs, instead of looking for them.
    pub bin_dir: Option<PathBuf>,
    /// Where clusters live whose data directory the Postgres user cannot reach.
    pub outside_dir: PathBuf,
}

impl ClusterOptions {
    /// Settings for data that must survive: `localserve` and the bench.
    pub fn durable() -> Self {
        Self {
            durability: Durability::Durable,
            shared_buffers_mb: 256,
            max_connections: 100,
            bin_dir: None,
            outside_dir: PathBuf::from("/var/lib/posthouse/clusters"),
        }
    }

    /// Settings for tests: faster, nothing survives a crash of the machine.
    pub fn throwaway() -> Self {
        Self {
            durability: Durability::Throwaway,
            shared_buffers_mb: 128,
            max_connections: 300,
            ..Self::durable()
        }
    }
}
