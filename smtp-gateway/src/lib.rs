//! SMTP adapter: the server side for incoming mail and submission, and the client for outgoing mail.
//!
//! `proto` and `sasl` are pure; [`SmtpServer`] drives them over TCP and asks the core; [`outbound`]
//! implements the core's `Transport`. No SQL, no policy, no retry.

mod asks;
mod config;
mod connection;
mod gate;
pub mod outbound;
pub mod proto;
mod replies;
pub mod sasl;
mod server;
mod wire;

pub use config::{ListenerKind, Slow, SmtpConfig, Timeouts};
pub use server::SmtpServer;
