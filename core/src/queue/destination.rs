//! Where mail for a domain goes: MX, null MX, aliases, addresses (RFC 5321 §5.1, C5).

use std::{net::IpAddr, sync::Arc, time::Duration};

use moka::future::Cache;
use rand::seq::SliceRandom as _;

use crate::{
    config::SmartHost,
    dane,
    mta_sts::{self, Sts},
    platform::Platform,
    ports::{
        DnsError, Location, Mx, Proven,
        transport::{Hop, Host, Login, Origin, Security, Tls},
    },
    routing::{Departure, Way},
};

/// Aliases followed before giving up.
const MAX_ALIASES: usize = 16;
/// Mail exchangers looked up.
const MAX_HOSTS: usize = 10;
/// How long the answer is used without asking the resolver again.
const KEPT: Duration = Duration::from_secs(30);

/// Why there is no way to a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unroutable {
    /// It will not get better.
    pub permanent: bool,
    /// SMTP code, where somebody has set one.
    pub code: Option<u16>,
    /// Enhanced status code.
    pub enhanced: &'static str,
    /// What is wrong.
    pub text: String,
}

impl Unroutable {
    fn permanent(enhanced: &'static str, text: impl Into<String>) -> Self {
        Self { permanent: true, code: None, enhanced, text: text.into() }
    }

    fn temporary(text: impl Into<String>) -> Self {
        Self { permanent: false, code: None, enhanced: "4.4.3", text: text.into() }
    }
}

type Found = Result<Arc<Hop>, Unroutable>;

/// What is looked up in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Domain(Arc<str>),
    Relay(Arc<SmartHost>),
}

/// Where mail for a domain goes, and whether to somebody who passes it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub hop: Arc<Hop>,
    pub relays: bool,
}

/// Ways to domains, for a short while.
pub(crate) struct Destinations {
    cache: Cache<Place, Found>,
}

impl Default for Destinations {
    fn default() -> Self {
        Self { cache: Cache::builder().max_capacity(20_000).time_to_live(KEPT).build() }
    }
}

impl Destinations {
    /// The way to `domain` by a transport; none: through the smart host of the configuration, or
    /// direct.
    pub(crate) async fn find(
        &self,
        platform: &Platform,
        domain: &str,
        way: Option<&Way>,
    ) -> Result<Destination, Unroutable> {
        match (way, &platform.config().delivery.smart_host) {
            (Some(Way::Relay(host)), _) | (None, Some(host)) => {
                let hop = self.look_up(platform, Place::Relay(Arc::clone(host))).await?;
                Ok(Destination { hop, relays: true })
            }
            (Some(Way::Direct(departure)), _) => {
                let hop = self.look_up(platform, Place::Domain(domain.into())).await?;
                let hop = depart(platform, hop, departure, domain).await?;
                Ok(Destination { hop, relays: false })
            }
            (None, None) => {
                let hop = self.look_up(platform, Place::Domain(domain.into())).await?;
                Ok(Destination { hop, relays: false })
            }
            (Some(Way::Fail { code, text }), _) => Err(Unroutable {
                permanent: *code >= 500,
                code: Some(*code),
                enhanced: if *code >= 500 { "5.7.1" } else { "4.7.1" },
                text: text.clone(),
            }),
        }
    }

    async fn look_up(&self, platform: &Platform, place: Place) -> Found {
        if let Some(found) = self.cache.get(&place).await {
            return found;
        }
        let found = match &place {
            Place::Relay(host) => through(platform, host).await,
            Place::Domain(domain) => direct(platform, domain).await,
        };
        // A failure of DNS may pass soon: only answers are kept.
        if !matches!(&found, Err(unroutable) if !unroutable.permanent) {
            self.cache.insert(place, found.clone()).await;
        }
        found
    }
}

/// The same way as a transport goes it: with addresses of the versions of IP that it has.
async fn depart(
    platform: &Platform,
    hop: Arc<Hop>,
    departure: &Departure,
    domain: &str,
) -> Result<Arc<Hop>, Unroutable> {
    let origin = departure.origin(platform).await.map_err(Unroutable::temporary)?;
    if departure.ip.is_none() && origin == Origin::default() {
        return Ok(hop);
    }
    let mut hop = Hop { ip: departure.ip, origin, ..(*hop).clone() };
    for host in &mut hop.hosts {
        host.addresses.retain(|address| {
            hop.ip.is_none_or(|version| version.is_of(*address)) && hop.origin.reaches(*address)
        });
    }
    hop.hosts.retain(|host| !host.addresses.is_empty());
    if hop.hosts.is_empty() {
        let text = format!("{domain} has no exchanger for the version of IP that is to be used");
        return Err(Unroutable::temporary(text));
    }
    Ok(Arc::new(hop))
}

async fn through(platform: &Platform, relay: &SmartHost) -> Found {
    let failed = |text: String| Unroutable::temporary(format!("smart host {}: {text}", relay.host));
    let mut addresses = if let Ok(address) = relay.host.parse::<IpAddr>() {
        vec![address]
    } else {
        let found = platform.resolver().addresses(&relay.host).await;
        found.map_err(|error| failed(error.to_string()))?
    };
    addresses.retain(|address| relay.origin.reaches(*address));
    if addresses.is_empty() {
        return Err(failed("no address for the version of IP that is to be used".to_owned()));
    }
    Ok(Arc::new(Hop {
        hosts: vec![Host {
            name: relay.host.as_str().into(),
            preference: None,
            addresses,
            security: Security::default(),
        }],
        port: relay.port,
        tls: relay.tls,
        login: relay.login.clone(),
        origin: relay.origin.clone(),
        ip: None,
        sts: Sts::Absent,
    }))
}

/// The domain of the recipient, and what DNS makes of it.
struct NextHop<'a> {
    domain: &'a str,
    /// The name at the end of its aliases.
    name: Arc<str>,
    /// DNSSEC proves the way from the domain to its hosts.
    secure: bool,
}

async fn direct(platform: &Platform, domain: &str) -> Found {
    let mut next = follow_aliases(platform, domain).await?;
    let found = platform.resolver().proven_mx(&next.name).await;
    let (records, is_its_own) = match found.answer {
        Ok(records) => {
            next.secure &= found.secure;
            (records, false)
        }
        // The proof of the denial is that of the addresses: both are in the same zone.
        Err(DnsError::NoRecord) => {
            (vec![Mx { preference: 0, exchange: Arc::clone(&next.name) }], true)
        }
        Err(error) => return Err(lookup_failed(domain, &error)),
    };
    if records.iter().all(|record| record.exchange.is_empty()) {
        let text = format!("{domain} does not accept mail (null MX)");
        return Err(Unroutable::permanent("5.1.10", text));
    }
    let mut hosts = hosts(platform, &next, in_order(records)).await?;
    if is_its_own {
        for host in &mut hosts {
            host.preference = None;
        }
    }
    let port = platform.config().delivery.port;
    let sts = mta_sts::apply(platform, domain, &mut hosts).await;
    let sts = sts.map_err(|error| Unroutable::temporary(format!("{domain}: {error}")))?;
    let (tls, login, origin) = (Tls::Opportunistic, Login::default(), Origin::default());
    Ok(Arc::new(Hop { hosts, port, tls, login, origin, ip: None, sts }))
}

async fn follow_aliases<'a>(
    platform: &Platform,
    domain: &'a str,
) -> Result<NextHop<'a>, Unroutable> {
    let mut next = NextHop { domain, name: domain.into(), secure: true };
    for _ in 0..=MAX_ALIASES {
        let found = platform.resolver().proven_cname(&next.name).await;
        match found.answer {
            Ok(Some(target)) => {
                next.name = target;
                next.secure &= found.secure;
            }
            Ok(None) => return Ok(next),
            Err(error) => return Err(lookup_failed(domain, &error)),
        }
    }
    let text = format!("{domain} is an alias through more than {MAX_ALIASES} others");
    Err(Unroutable::permanent("5.4.6", text))
}

fn lookup_failed(domain: &str, error: &DnsError) -> Unroutable {
    match error {
        DnsError::NoName => {
            Unroutable::permanent("5.1.2", format!("the domain {domain} does not exist"))
        }
        error => Unroutable::temporary(format!("{domain}: {error}")),
    }
}

/// Lowest preference first, equal ones in random order.
fn in_order(mut records: Vec<Mx>) -> Vec<Mx> {
    records.retain(|record| !record.exchange.is_empty());
    records.shuffle(&mut rand::rng());
    records.sort_by_key(|record| record.preference);
    records.truncate(MAX_HOSTS);
    records
}

async fn hosts(
    platform: &Platform,
    next: &NextHop<'_>,
    records: Vec<Mx>,
) -> Result<Vec<Host>, Unroutable> {
    let lookups = records.into_iter().map(|record| host(platform, next, record));
    let mut hosts = Vec::new();
    let mut temporary = None;
    for found in futures_util::future::join_all(lookups).await {
        match found {
            Ok(host) => hosts.push(host),
            Err((name, error @ DnsError::Temporary(_))) => {
                temporary = Some(Unroutable::temporary(format!("{name}: {error}")));
            }
            Err((_, DnsError::NoName | DnsError::NoRecord)) => {}
        }
    }
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    let text = format!("no mail exchanger of {} has an address", next.domain);
    Err(temporary.unwrap_or_else(|| Unroutable::permanent("5.4.4", text)))
}

/// Where an exchanger is and what it has to prove. TLSA records come last: they are asked for only
/// where there can be any (RFC 7672 §2.2.2).
async fn host(
    platform: &Platform,
    next: &NextHop<'_>,
    record: Mx,
) -> Result<Host, (Arc<str>, DnsError)> {
    let Mx { preference, exchange: name } = record;
    let Proven { answer, secure } = platform.resolver().locate(&name).await;
    let location = answer.map_err(|error| (Arc::clone(&name), error))?;
    let security = if next.secure {
        let next_hop = [next.domain, &*next.name];
        let candidate = dane::Candidate { host: &name, location: &location, secure, next_hop };
        dane::look_up(platform.resolver(), candidate, platform.config().delivery.port).await
    } else {
        Security::default()
    };
    let Location { addresses, .. } = location;
    Ok(Host { name, preference: Some(preference), addresses, security })
}
