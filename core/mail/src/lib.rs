//! Pure mail code of Posthouse: addresses, composing, inspecting, parsing, DKIM signing, DSNs.
//!
//! No I/O, no clock, no database: times and identifiers are arguments. Everything here takes bytes
//! from the network, so nothing may panic, recurse without a bound or take more than linear time.

pub mod address;
pub mod answer;
pub mod compose;
pub mod dkim;
pub mod domain;
pub mod dsn;
pub mod header;
pub mod html;
pub mod mailbox;
pub mod message;
pub mod parse;
pub mod pattern;
pub mod received;
pub mod report;
pub mod search;
pub mod tls_report;

mod date;
mod encoded_word;
mod fold;
mod params;
mod text;

pub use address::{Address, AddressError, EmailAddress, LocalPartRules, NamedAddress};
pub use domain::DomainError;

#[cfg(test)]
mod hostile;
