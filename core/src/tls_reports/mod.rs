//! Reports about TLS (RFC 8460): what deliveries meet is counted by day, and told to the domains that
//! ask for it.
//!
//! Sessions are counted in memory and written every few seconds: a crash loses those. Each domain has
//! one row for a day, and whoever puts off its time sends its report.

mod collect;
mod record;
mod results;
mod sent;
mod store;
mod suppress;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use time::Date;

pub(crate) use collect::write_on;
pub(crate) use sent::run;
pub use sent::{Destination, Sent, SentFilter, Status, find, list, send_due};
pub(crate) use store::purge;
pub use suppress::{
    NewSuppression, Suppression, create as suppress, faults as suppression_faults,
    list as list_suppressions, remove as unsuppress,
};

use crate::{
    config::Config,
    error::{Error, FieldError, Result},
    http,
    ports::Resolver,
};

/// How long an endpoint may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What this node has counted, and how it reaches endpoints of reports.
pub(crate) struct TlsReports {
    counted: collect::Counted,
    client: http::Client,
    /// The day for which this node has made a plan.
    planned: Mutex<Option<Date>>,
}

impl TlsReports {
    /// Nothing is counted yet.
    pub(crate) fn new(config: &Config, resolver: &Arc<dyn Resolver>) -> Result<Self> {
        let hosts = &config.policy_hosts;
        let guard = http::Policy::new(&hosts.allowed_networks).map_err(|_| {
            let detail = "a network is written as address/prefix";
            Error::InvalidInput(vec![FieldError::new("/policy_hosts", "invalid_network", detail)])
        })?;
        let lookup = http::lookup_with(resolver);
        let client = http::Client::patient(&Arc::new(guard), &lookup, PATIENCE, hosts.roots())?;
        Ok(Self { counted: collect::Counted::default(), client, planned: Mutex::default() })
    }

    /// What is counted.
    pub(crate) const fn counted(&self) -> &collect::Counted {
        &self.counted
    }
}
