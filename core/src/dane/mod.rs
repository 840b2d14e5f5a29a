//! DANE for outgoing mail (RFC 7672, E2): which TLSA records a host has, and which of them count.
//!
//! Whether a certificate satisfies them is for the SMTP client to say. Hosts that are configured
//! (smart hosts, transports) are not looked up: they have a TLS policy of their own.

mod select;

use std::sync::Arc;

use self::select::usable;
use crate::ports::{
    DnsError, Location, Resolver,
    transport::{Dane, Reply, Security, Tlsa},
};

/// A host of a domain whose mail exchangers are proven, and where it was found.
pub(crate) struct Candidate<'a> {
    /// Its name in the MX record, or the domain's own.
    pub host: &'a str,
    pub location: &'a Location,
    /// Its addresses are proven, aliases included.
    pub secure: bool,
    /// The domain of the recipient, and the name that it is an alias of.
    pub next_hop: [&'a str; 2],
}

impl Candidate<'_> {
    /// RFC 7672 §2.2.2: the names under which TLSA records may be, the best one first.
    fn base_domains(&self) -> Vec<&str> {
        let (host, end) = (self.host, &*self.location.name);
        match (host.eq_ignore_ascii_case(end), self.secure) {
            (true, true) => vec![host],
            (false, true) => vec![end, host],
            (false, false) if self.location.alias_is_secure => vec![host],
            (_, false) => Vec::new(),
        }
    }

    /// RFC 7672 §3.2.2: the base domain, then the domain of the recipient and what it stands for.
    fn names(&self, base: &str) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = vec![base.into()];
        for name in self.next_hop {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.into());
            }
        }
        names
    }
}

/// What a host has to prove according to its TLSA records (RFC 7672 §2.2.3).
pub(crate) async fn look_up(
    resolver: &dyn Resolver,
    candidate: Candidate<'_>,
    port: u16,
) -> Security {
    for base in candidate.base_domains() {
        let found = resolver.tlsa(&format!("_{port}._tcp.{base}")).await;
        match found.answer {
            Ok(records) if found.secure => return required(&candidate, base, records),
            // Records without a proof are none.
            Ok(_) | Err(DnsError::NoName | DnsError::NoRecord) => {}
            Err(error @ DnsError::Temporary(_)) => return barred(candidate.host, base, &error),
        }
    }
    Security::default()
}

fn required(candidate: &Candidate<'_>, base: &str, records: Vec<Tlsa>) -> Security {
    let dane = Dane { records: usable(records), names: candidate.names(base) };
    Security { dane: Some(Arc::new(dane)), ..Security::default() }
}

/// RFC 7672 §2.1.2: without an answer nobody knows what the host has to prove.
fn barred(host: &str, base: &str, error: &DnsError) -> Security {
    let text = format!("{host}: the TLSA records of {base} could not be looked up: {error}");
    let barred = Some(Arc::new(Reply::local("4.4.3", text)));
    Security { barred, dane_unknown: true, ..Security::default() }
}

#[cfg(test)]
mod tests;
