//! Where mail for a domain goes: MX, null MX, aliases, addresses (RFC 5321 §5.1, C5).

use std::{net::IpAddr, sync::Arc, time::Duration};

use moka::future::Cache;
use rand::seq::SliceRandom as _;

use crate::{
    config::SmartHost,
    platform::Platform,
    ports::{
        DnsError, Mx,
        transport::{Hop, Host, Tls},
    },
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
    /// Enhanced status code.
    pub enhanced: &'static str,
    /// What is wrong.
    pub text: String,
}

impl Unroutable {
    fn permanent(enhanced: &'static str, text: impl Into<String>) -> Self {
        Self { permanent: true, enhanced, text: text.into() }
    }

    fn temporary(text: impl Into<String>) -> Self {
        Self { permanent: false, enhanced: "4.4.3", text: text.into() }
    }
}

type Found = Result<Arc<Hop>, Unroutable>;

/// Ways to domains, for a short while.
pub(crate) struct Destinations {
    cache: Cache<Arc<str>, Found>,
}

impl Default for Destinations {
    fn default() -> Self {
        Self { cache: Cache::builder().max_capacity(20_000).time_to_live(KEPT).build() }
    }
}

impl Destinations {
    /// The way to `domain`, or through the smart host.
    pub(crate) async fn find(&self, platform: &Platform, domain: &str) -> Found {
        let smart_host = platform.config().delivery.smart_host.as_ref();
        let key = smart_host.map_or(domain, |host| host.host.as_str());
        if let Some(found) = self.cache.get(key).await {
            return found;
        }
        let found = match smart_host {
            Some(host) => through(platform, host).await,
            None => direct(platform, domain).await,
        };
        // A failure of DNS may pass soon: only answers are kept.
        if !matches!(&found, Err(unroutable) if !unroutable.permanent) {
            self.cache.insert(key.into(), found.clone()).await;
        }
        found
    }
}

async fn through(platform: &Platform, smart_host: &SmartHost) -> Found {
    let addresses = match smart_host.host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => platform.resolver().addresses(&smart_host.host).await.map_err(|error| {
            Unroutable::temporary(format!("smart host {}: {error}", smart_host.host))
        })?,
    };
    Ok(Arc::new(Hop {
        hosts: vec![Host { name: smart_host.host.as_str().into(), addresses }],
        port: smart_host.port,
        tls: smart_host.tls,
        credentials: smart_host.credentials.clone(),
    }))
}

async fn direct(platform: &Platform, domain: &str) -> Found {
    let name = follow_aliases(platform, domain).await?;
    let records = match platform.resolver().mx(&name).await {
        Ok(records) => records,
        Err(DnsError::NoRecord) => vec![Mx { preference: 0, exchange: Arc::clone(&name) }],
        Err(error) => return Err(lookup_failed(domain, &error)),
    };
    if records.iter().all(|record| record.exchange.is_empty()) {
        let text = format!("{domain} does not accept mail (null MX)");
        return Err(Unroutable::permanent("5.1.10", text));
    }
    let hosts = hosts(platform, domain, in_order(records)).await?;
    let delivery = &platform.config().delivery;
    Ok(Arc::new(Hop { hosts, port: delivery.port, tls: Tls::Opportunistic, credentials: None }))
}

async fn follow_aliases(platform: &Platform, domain: &str) -> Result<Arc<str>, Unroutable> {
    let mut name: Arc<str> = domain.into();
    for _ in 0..=MAX_ALIASES {
        match platform.resolver().cname(&name).await {
            Ok(Some(target)) => name = target,
            Ok(None) => return Ok(name),
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
    domain: &str,
    records: Vec<Mx>,
) -> Result<Vec<Host>, Unroutable> {
    let lookups = records.into_iter().map(|record| async move {
        let addresses = platform.resolver().addresses(&record.exchange).await;
        (record.exchange, addresses)
    });
    let mut hosts = Vec::new();
    let mut temporary = None;
    for (name, addresses) in futures_util::future::join_all(lookups).await {
        match addresses {
            Ok(addresses) => hosts.push(Host { name, addresses }),
            Err(error @ DnsError::Temporary(_)) => {
                temporary = Some(Unroutable::temporary(format!("{name}: {error}")));
            }
            Err(DnsError::NoName | DnsError::NoRecord) => {}
        }
    }
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    let text = format!("no mail exchanger of {domain} has an address");
    Err(temporary.unwrap_or_else(|| Unroutable::permanent("5.4.4", text)))
}
