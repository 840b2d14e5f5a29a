//! Mail that comes in: from other servers on port 25, and from the sandbox.

mod check;
pub(crate) mod deliver;
mod forward;
mod parse;
mod receive;
pub(crate) mod refusals;
mod reverse;
pub(crate) mod store;

use std::net::IpAddr;

use bytes::Bytes;
use posthouse_mail::address::Address;

pub use check::{ask_routes, check_postmaster, check_recipient, check_sender};
pub use parse::parse;
pub use receive::receive;
pub(crate) use refusals::Refusals;

use crate::{
    id::{Account, Id, Request},
    messages::ReversePath,
};

/// Most Received fields: more is a mail loop (A4).
pub const MAX_RECEIVED: usize = 100;

/// What is known of the connection that a message comes over.
#[derive(Debug, Clone)]
pub struct ConnectionFacts {
    /// Identifies the connection in logs and, encrypted, in the Received field.
    pub id: Id<Request>,
    /// The client.
    pub remote_address: IpAddr,
    /// Our side.
    pub local_address: IpAddr,
    /// Argument of EHLO or HELO.
    pub helo: String,
    /// The client said EHLO.
    pub esmtp: bool,
    /// The client used SMTPUTF8 in MAIL.
    pub smtputf8: bool,
    /// The client used REQUIRETLS in MAIL.
    pub requiretls: bool,
    /// Version and cipher suite, when the connection is encrypted.
    pub tls: Option<TlsFacts>,
}

/// Encryption of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub version: String,
    /// Cipher suite by its IANA name.
    pub cipher: String,
}

/// A message that came in.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Reverse-path.
    pub mail_from: ReversePath,
    /// Recipients that [`check_recipient`] accepted.
    pub recipients: Vec<Recipient>,
    /// The message with CRLF line ends, dots unstuffed.
    pub data: Bytes,
    /// How it came.
    pub facts: ConnectionFacts,
}

/// A recipient that is at home here.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Address as the client gave it.
    pub address: Address,
    /// Where it leads.
    pub(crate) account: Id<Account>,
    /// A route may refuse the message when its content is there: then there is one answer for one
    /// recipient.
    pub(crate) alone: bool,
}
