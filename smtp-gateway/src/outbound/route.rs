//! Which addresses of a hop are tried, in what order (RFC 5321 §5.1).
//!
//! The address family alternates from attempt to attempt; within a family the address of the last
//! attempt comes first, so that a greylisting server sees what it saw before.

use std::net::IpAddr;

use posthouse_core::ports::transport::{Host, Job};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// The addresses of `host` in the order in which this attempt is to try them.
pub(super) fn addresses(job: &Job, host: &Host) -> Vec<IpAddr> {
    let mut order = host.addresses.clone();
    let Some(family) = preferred(job, host) else {
        return order;
    };
    // Stable: among equals the order of core stays.
    order.sort_by_key(|address| {
        let other_family = Family::of(*address) != family;
        (other_family, !other_family && Some(*address) != job.last_address)
    });
    order
}

/// Whether a waiting connection to `address` may serve this attempt: always the first one, later
/// ones only when the family fits.
pub(super) fn suits(job: &Job, address: IpAddr) -> bool {
    if job.attempt == 0 {
        return true;
    }
    let host = job.hop.hosts.iter().find(|host| host.addresses.contains(&address));
    let host = host.or_else(|| job.hop.hosts.first());
    host.and_then(|host| preferred(job, host)).is_none_or(|family| family == Family::of(address))
}

/// The family whose turn it is: that of the first address at even attempts, else the other one;
/// `None` when there is only one family.
fn preferred(job: &Job, host: &Host) -> Option<Family> {
    let first = Family::of(*host.addresses.first()?);
    let other = host.addresses.iter().map(|address| Family::of(*address)).find(|f| *f != first);
    match other {
        Some(other) if job.attempt % 2 == 1 => Some(other),
        _ => Some(first),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use posthouse_core::{
        mta_sts::Sts,
        ports::transport::{Content, Hop, Login, Origin, RequireTls, Security, Tls},
    };

    use super::*;

    fn job(attempt: u16, last: Option<&str>, addresses: &[&str]) -> Job {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let host = Host {
            name: "mx.example".into(),
            preference: None,
            addresses,
            security: Security::default(),
        };
        let hop = Hop {
            hosts: vec![host],
            port: 25,
            tls: Tls::Never,
            login: Login::default(),
            origin: Origin::default(),
            ip: None,
            sts: Sts::Absent,
        };
        let (prefix, body) = (Bytes::new(), Bytes::new().into());
        Job {
            hop: Arc::new(hop),
            envelope_id: None,
            ret: posthouse_mail::dsn::Ret::Headers,
            mail_from: "".into(),
            recipients: vec![],
            message: Content { prefix, body, smtputf8: false, eight_bit: false },
            attempt,
            require_tls: RequireTls::Default,
            last_address: last.map(|address| address.parse().unwrap()),
            per_connection: None,
        }
    }

    fn order(attempt: u16, previous: Option<&str>, list: &[&str]) -> Vec<String> {
        let job = job(attempt, previous, list);
        addresses(&job, &job.hop.hosts[0]).iter().map(ToString::to_string).collect()
    }

    const LIST: [&str; 4] = ["::1", "::2", "1.1.1.1", "2.2.2.2"];

    #[test]
    fn families_alternate() {
        assert_eq!(order(0, None, &LIST), LIST);
        assert_eq!(order(1, None, &LIST), ["1.1.1.1", "2.2.2.2", "::1", "::2"]);
        assert_eq!(order(2, None, &LIST), LIST);
        assert_eq!(order(1, None, &LIST[2..]), LIST[2..]);
    }

    #[test]
    fn last_address_comes_first_when_it_is_its_turn() {
        assert_eq!(order(2, Some("::2"), &LIST), ["::2", "::1", "1.1.1.1", "2.2.2.2"]);
        assert_eq!(order(1, Some("::2"), &LIST), ["1.1.1.1", "2.2.2.2", "::1", "::2"]);
        assert_eq!(order(1, Some("9.9.9.9"), &LIST)[0], "1.1.1.1");
        assert_eq!(order(3, Some("2.2.2.2"), &LIST[2..]), ["2.2.2.2", "1.1.1.1"]);
    }

    #[test]
    fn waiting_connections_of_the_other_family_are_for_first_attempts() {
        assert!(suits(&job(0, None, &LIST), "1.1.1.1".parse().unwrap()));
        assert!(suits(&job(1, None, &LIST), "1.1.1.1".parse().unwrap()));
        assert!(!suits(&job(1, None, &LIST), "::1".parse().unwrap()));
        assert!(suits(&job(1, None, &LIST[2..]), "1.1.1.1".parse().unwrap()));
    }
}
