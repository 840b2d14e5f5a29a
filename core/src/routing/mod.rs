//! Which way mail leaves: transports, and routes that choose one of them (D1 to D7).
//!
//! A delivery takes the transport that was chosen for it, else that of the first route that matches:
//! of its account, then of the sender's domain, then of all; else the smart host of the
//! configuration, else the exchangers of its recipient. That is asked anew at each attempt, of what
//! the node has in memory; every change is told to all nodes (docs/decisions/0023).

mod check;
mod departure;
mod routes;
mod store;
mod table;
mod transports;

use std::{fmt, str::FromStr};

pub(crate) use departure::{Departure, Way};
pub use routes::{
    NewRoute, RouteFilter, RoutePatch, create_route, delete_route, find_route, list_routes,
    route_faults, route_patch_faults, update_route,
};
use serde::{Deserialize, Serialize};
pub(crate) use table::{Choice, Routing, Traveller, load};
use time::OffsetDateTime;
pub(crate) use transports::require_transport;
pub use transports::{
    Settings, TransportPatch, create_transport, delete_transport, find_transport, list_transports,
    transport_faults, transport_patch_faults, update_transport,
};

use crate::id::{self, Account, Domain, Id};

/// What a transport does (D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Looks for the exchangers of the recipient's domain.
    Direct,
    /// Hands everything to a host, usually on port 25.
    Smtp,
    /// The same on port 587.
    Submission,
    /// The same on port 465, with TLS from the first octet (RFC 8314).
    Submissions,
    /// As direct, but through a SOCKS5 server (RFC 1928).
    Socks5,
    /// Lets everything fail.
    Fail,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Direct, Self::Smtp, Self::Submission, Self::Submissions, Self::Socks5, Self::Fail];

    /// Name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Socks5 => "socks5",
            Self::Fail => "fail",
        }
    }

    /// Whether it hands all mail to one host.
    const fn relays(self) -> bool {
        matches!(self, Self::Smtp | Self::Submission | Self::Submissions)
    }

    /// Whether it connects to one host: that which takes the mail, or a proxy.
    const fn has_host(self) -> bool {
        self.relays() || matches!(self, Self::Socks5)
    }

    /// Whether it looks for the exchangers of the recipient's domain.
    const fn looks_up(self) -> bool {
        matches!(self, Self::Direct | Self::Socks5)
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A way out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transport {
    /// Identifier.
    pub id: Id<id::Transport>,
    /// For people; unique.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// The host that takes everything, or the proxy.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<i32>,
    /// `required`, `opportunistic`, `implicit` or `never`.
    pub tls: Option<String>,
    /// Login name there.
    pub username: Option<String>,
    /// Password there, sealed.
    pub(crate) password: Option<Vec<u8>>,
    /// The mechanisms that a login may use; none named: what is safe.
    pub auth_mechanisms: Vec<String>,
    /// Whether to log in without verified TLS too.
    pub insecure_auth: bool,
    /// Our certificate there, with its chain, as PEM.
    pub client_certificate: Option<String>,
    /// Its key, sealed.
    pub(crate) client_key: Option<Vec<u8>>,
    /// Of one that looks for exchangers: `ipv4` or `ipv6` when only that is used.
    pub ip_version: Option<String>,
    /// Where connections come from; none: anywhere.
    pub source_addresses: Vec<String>,
    /// Our name in EHLO, when it is not that of the installation.
    pub ehlo_name: Option<String>,
    /// Of one that fails: the SMTP code.
    pub code: Option<i16>,
    /// Of one that fails: what it says.
    pub reply: Option<String>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

impl Transport {
    /// Whether there is a password.
    pub const fn has_password(&self) -> bool {
        self.password.is_some()
    }
}

/// A rule that chooses a transport.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Route {
    /// Identifier.
    pub id: Id<id::Route>,
    /// In the list of this account.
    pub account_id: Option<Id<Account>>,
    /// In the list of this sender's domain.
    pub domain_id: Option<Id<Domain>>,
    /// Its place in the list: lower ones are asked first, of equal ones the older.
    pub position: i32,
    /// Domains of the sender, in A-label form; with a dot in front also sub-domains; empty: any.
    pub from_domains: Vec<String>,
    /// Domains of the recipient, in the same way.
    pub to_domains: Vec<String>,
    /// Attempts already made, at least.
    pub minimum_attempts: i16,
    /// The transport.
    pub transport_id: Id<id::Transport>,
    /// For people.
    pub description: String,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}
