//! The posthouse server: configuration, roles, local server, shutdown.
//!
//! [`app`] is the only place where the parts are put together; `serve`, `localserve` and the tests
//! use it.

pub mod admin;
pub mod app;
pub mod cid;
pub mod config;
pub mod database;
pub mod localserve;
pub mod logging;
mod metrics;
mod notify;
pub mod open_files;
pub mod output;
pub mod roles;
pub mod serve;
pub mod signals;
pub mod tls;

pub use posthouse_postgres as postgres;
