//! The test harness: the whole server in this process, with a database, a clock, a DNS and remote
//! mail servers of its own.
//!
//! [`app::App`] is where a test begins. Everything else can be used without it too.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends"
)]

pub mod app;
pub mod certificates;
pub mod client;
pub mod dns;
pub mod logs;
pub mod person;
pub mod policy_host;
pub mod postgres;
pub mod proxy;
pub mod receiver;
mod server;
pub mod sink;
pub mod smtp_client;
pub mod socks;
pub mod wait;
