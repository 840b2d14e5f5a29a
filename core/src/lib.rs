//! Operations, rules, storage and workers of Posthouse.
//!
//! HTTP, SMTP and IMAP are three spellings of these operations. An operation takes a [`Cx`] (who
//! asks) and a typed request, and gives a typed result or an [`Error`]. All SQL is here, in the
//! `store` module of each noun; no door has any.

#![expect(
    clippy::as_conversions,
    reason = "the query macros of sqlx take the type of a parameter as a cast"
)]

pub mod accounts;
pub mod api_keys;
pub mod audit;
pub mod blobs;
mod bounces;
pub mod config;
pub mod credentials;
mod cx;
mod dane;
pub mod domains;
pub mod error;
pub mod events;
mod http;
pub mod id;
pub mod idempotency;
pub mod inbound;
pub mod inbound_routes;
pub mod limits;
pub mod mailboxes;
pub mod mails;
pub mod messages;
pub mod migrate;
pub mod mta_sts;
pub mod net;
mod oidc;
pub mod page;
mod platform;
pub mod ports;
pub mod queue;
pub mod room;
pub mod routing;
pub mod sandbox;
pub mod scope;
pub mod spool;
pub mod suppressions;
pub mod templates;
mod text;
pub mod threads;
pub mod time;
pub mod tls_reports;
pub mod tokens;
pub mod trace;
pub mod uploads;
pub mod vault;
pub mod version;
mod wake;
pub mod webhooks;
pub mod workers;

pub use config::Config;
pub use cx::{Actor, Credential, Cx, Door, Role};
pub use error::{Code, Error, FieldError, Result};
pub use id::Id;
pub use idempotency::{Created, IdempotencyKey};
pub use platform::{Parts, Platform};
pub use scope::{Scope, Scopes};
pub use wake::Wake;
