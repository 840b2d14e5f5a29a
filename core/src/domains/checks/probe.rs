//! All checks of one domain at once. How much they ask is bounded, and how long they wait.

use std::{net::IpAddr, time::Duration};

use tokio::time::timeout;

use super::{Check, dkim, hosts, policies};
use crate::{
    domains::Domain,
    platform::Platform,
    ports::{DnsError, Resolver},
};

/// The time of each check; they run side by side.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most addresses of this server that are looked at.
pub(super) const MAX_ADDRESSES: usize = 8;

/// What was found.
pub(super) struct Found {
    pub checks: Vec<Check>,
    /// Selectors whose records are as they should be.
    pub seen: Vec<String>,
}

/// What the checks know.
pub(super) struct Probe<'a> {
    pub platform: &'a Platform,
    pub domain: &'a Domain,
    /// Addresses of this server.
    pub addresses: Result<Vec<IpAddr>, DnsError>,
}

impl Probe<'_> {
    pub(super) fn resolver(&self) -> &dyn Resolver {
        self.platform.resolver()
    }

    pub(super) fn hostname(&self) -> &str {
        &self.platform.config().hostname
    }

    /// Addresses of this server that are looked at.
    pub(super) fn own(&self) -> &[IpAddr] {
        self.addresses.as_deref().unwrap_or_default()
    }
}

/// Looks at everything.
pub(super) async fn look(platform: &Platform, domain: &Domain) -> Found {
    let hostname = &platform.config().hostname;
    let addresses = timeout(PATIENCE, platform.resolver().addresses(hostname)).await;
    let late = || Err(DnsError::Temporary("no answer in time".to_owned()));
    let mut addresses = addresses.unwrap_or_else(|_| late());
    if let Ok(addresses) = &mut addresses {
        addresses.truncate(MAX_ADDRESSES);
    }
    let probe = Probe { platform, domain, addresses };
    let ((dkim, seen), mx, spf, dmarc, mta_sts, tls_rpt, reverse) = tokio::join!(
        within((late_check("dkim", true), Vec::new()), Box::pin(dkim::check(&probe))),
        within(late_check("mx", true), Box::pin(hosts::mx(&probe))),
        within(late_check("spf", true), Box::pin(hosts::spf(&probe))),
        within(late_check("dmarc", true), Box::pin(policies::dmarc(&probe))),
        within(late_check("mta_sts", false), Box::pin(policies::mta_sts(&probe))),
        within(late_check("tls_rpt", false), Box::pin(policies::tls_rpt(&probe))),
        within(late_check("reverse_dns", false), Box::pin(hosts::reverse(&probe))),
    );
    let dnssec = hosts::dnssec(&mx);
    Found { checks: vec![mx, spf, dkim, dmarc, mta_sts, tls_rpt, reverse, dnssec], seen }
}

fn late_check(name: &str, required: bool) -> Check {
    let mut check = Check::new(name, required);
    check.unknown("DNS has not answered in time");
    check
}

async fn within<T>(late: T, check: impl Future<Output = T>) -> T {
    timeout(PATIENCE, check).await.unwrap_or(late)
}
