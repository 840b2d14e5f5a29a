//! The server settings of a private cluster, given on the command line at every start.
//!
//! Nothing is written into `postgresql.conf`, so a new release changes them for old clusters too.

use std::path::Path;

use crate::options::{ClusterOptions, Durability};

/// The port in the name of the socket file; given in every URL, so that `PGPORT` cannot change it.
pub(crate) const PORT: u16 = 5432;

/// How Postgres compresses full-page images in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalCompression {
    /// Postgres 15 and newer, when built with it.
    Lz4,
    /// The compression that every version has.
    Builtin,
}

/// Returns `name=value` for each setting.
pub(crate) fn settings(
    options: &ClusterOptions,
    socket_dir: &Path,
    compression: WalCompression,
) -> Vec<String> {
    let mut settings: Vec<String> = [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "cluster_name=posthouse",
        "max_wal_size=4GB",
        "min_wal_size=256MB",
        "wal_buffers=16MB",
        // Filling each new segment with zeros stops all commits for up to 0.1 s, and there are many
        // new ones until the first are used again.
        "wal_init_zero=off",
        "checkpoint_timeout=15min",
        "autovacuum_naptime=10s",
        "jit=off",
        // A container's /dev/shm of 64 MB is too small for parallel plans.
        "max_parallel_workers_per_gather=0",
        "max_parallel_maintenance_workers=0",
        "max_locks_per_transaction=256",
        "idle_in_transaction_session_timeout=5min",
        "timezone=UTC",
        "log_timezone=UTC",
        "log_line_prefix=%m [%p] ",
        "log_checkpoints=off",
        "logging_collector=off",
    ]
    .map(str::to_owned)
    .to_vec();
    settings.push(format!("port={PORT}"));
    settings.push(format!("unix_socket_directories={}", socket_dir.display()));
    settings.push(format!("shared_buffers={}MB", options.shared_buffers_mb));
    settings.push(format!("max_connections={}", options.max_connections));
    settings.push(match compression {
        WalCompression::Lz4 => "wal_compression=lz4".to_owned(),
        WalCompression::Builtin => "wal_compression=on".to_owned(),
    });
    let durable = match options.durability {
        Durability::Durable => "on",
        Durability::Throwaway => "off",
    };
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        settings.push(format!("{name}={durable}"));
    }
    settings
}
