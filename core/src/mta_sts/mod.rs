//! MTA-STS for mail that goes out (RFC 8461): policies of domains, and hosts held against them.
//!
//! A record in DNS says that a domain has a policy, and changes with it; the policy comes over HTTPS.
//! What was fetched once holds until its time is over, whatever DNS and the web server say then: that
//! is what keeps somebody in between from taking it away. Policies are in the database, for all
//! nodes, and in the memory of each.

mod find;
mod list;
mod own;
mod policy;
mod record;
mod refresh;
mod store;

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use url::Url;

pub(crate) use find::apply;
pub use list::{PolicyFilter, StoredPolicy, list};
pub(crate) use own::{Served, served};
pub use policy::{Mode, Policy};
pub use refresh::refresh_due;
pub(crate) use refresh::run;
pub(crate) use store::purge;

use crate::{
    config::Config,
    error::{Error, FieldError, Result},
    http,
    ports::Resolver,
};

/// A fetch is tried again after this time at the earliest (E5).
const BACKOFF: time::Duration = time::Duration::minutes(5);
/// What no delivery has used for so long is forgotten (E5).
const KEPT: time::Duration = time::Duration::days(180);
/// Its use is noted that often.
const NOTED: time::Duration = time::Duration::days(1);
/// How long the memory is believed before the database is asked again.
const FRESH: Duration = Duration::from_mins(10);
/// Octets of policies in memory.
const MEMORY: u64 = 32 * 1024 * 1024;
/// RFC 8461 §3.3 suggests a minute. Mail of the domain waits meanwhile, and a web server in order
/// answers in one second.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of the policy of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    policy: Option<Arc<Policy>>,
    last_used_at: Option<OffsetDateTime>,
    failed_at: Option<OffsetDateTime>,
    error: Option<Arc<str>>,
    fault: Option<Fault>,
}

/// In what way a policy could not be had (RFC 8460 §4.3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The web server did not give it.
    Fetch,
    /// What it gave is no policy.
    Invalid,
    /// Its certificate does not verify.
    Certificate,
}

impl Fault {
    /// Name in the database.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Invalid => "invalid",
            Self::Certificate => "certificate",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Fetch, Self::Invalid, Self::Certificate].into_iter().find(|it| it.as_str() == text)
    }
}

/// Why a policy could not be fetched.
struct Failure {
    fault: Fault,
    text: String,
}

impl From<http::FetchError> for Failure {
    fn from(error: http::FetchError) -> Self {
        let fault = if error.certificate { Fault::Certificate } else { Fault::Fetch };
        Self { fault, text: error.text }
    }
}

impl Known {
    /// The policy, if it holds.
    fn valid(&self, now: OffsetDateTime) -> Option<&Arc<Policy>> {
        self.policy.as_ref().filter(|policy| policy.expires_at >= now)
    }

    /// Whether the policy that DNS tells of is to be fetched.
    fn lacks(&self, id: &str, now: OffsetDateTime) -> bool {
        let has = self.valid(now).is_some_and(|policy| policy.record_id == id);
        !has && self.failed_at.is_none_or(|at| now - at >= BACKOFF)
    }
}

/// What the domain of a recipient asks for, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Sts {
    /// It has no policy.
    #[default]
    Absent,
    /// It has one that could not be fetched, and no earlier one that holds; says why.
    Unavailable(Fault, Arc<str>),
    /// This.
    Found(Arc<Policy>),
}

/// Policies in memory, and how they are fetched.
pub(crate) struct MtaSts {
    client: http::Client,
    port: u16,
    known: Cache<Arc<str>, Arc<Known>>,
    /// One fetch at a time for each domain.
    turns: Cache<Arc<str>, Arc<Mutex<()>>>,
}

impl MtaSts {
    /// Nothing is known yet.
    pub(crate) fn new(config: &Config, resolver: &Arc<dyn Resolver>) -> Result<Self> {
        let hosts = &config.policy_hosts;
        let guard = http::Policy::new(&hosts.allowed_networks).map_err(|_| {
            let detail = "a network is written as address/prefix";
            Error::InvalidInput(vec![FieldError::new("/policy_hosts", "invalid_network", detail)])
        })?;
        let lookup = http::lookup_with(resolver);
        let client = http::Client::patient(&Arc::new(guard), &lookup, PATIENCE, hosts.roots())?;
        let weigh = |domain: &Arc<str>, known: &Arc<Known>| {
            let policy = known.policy.as_ref().map_or(0, |policy| policy.weight());
            u32::try_from(domain.len() + policy + 200).unwrap_or(u32::MAX)
        };
        Ok(Self {
            client,
            port: hosts.port,
            known: Cache::builder().weigher(weigh).max_capacity(MEMORY).time_to_live(FRESH).build(),
            turns: Cache::builder().max_capacity(10_000).time_to_idle(FRESH).build(),
        })
    }

    /// The text of a policy (RFC 8461 §3.3): over HTTPS with a certificate for that name, in one
    /// answer with status 200, as plain text of 64 KiB at most.
    async fn fetch(&self, domain: &str) -> Result<policy::Rules, Failure> {
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        let url = format!("https://mta-sts.{domain}{port}/.well-known/mta-sts.txt");
        let failed = |fault, text: String| Failure { fault, text };
        let url: Url = url
            .parse()
            .map_err(|_| failed(Fault::Fetch, "the domain cannot be in a URL".to_owned()))?;
        let text = self.client.get_text(&url).await?;
        policy::parse(&text).map_err(|error| failed(Fault::Invalid, error.to_string()))
    }
}
