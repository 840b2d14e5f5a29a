//! A private Postgres cluster that lives and dies with the process that starts it.
//!
//! `posthouse localserve`, the tests, the bench and `cargo xtask sqlx` use it. A crate of its own,
//! so that `xtask` can renew the offline query data while the query crates do not compile.
//! It listens on a Unix socket only and is never used by `posthouse serve`.

mod binaries;
mod cluster;
mod home;
mod keeper;
mod leftover;
mod options;
mod owner;
mod settings;
mod socket;

pub use cluster::PrivateCluster;
pub use options::{ClusterOptions, Durability};
