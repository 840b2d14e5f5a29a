//! Counting sessions in memory; a task writes the counts every few seconds.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use posthouse_mail::tls_report::Policy;
use time::{Date, UtcOffset};
use tokio_util::sync::CancellationToken;

use super::{
    results::{Outcome, outcomes},
    store,
};
use crate::{
    config::SendReports,
    error::Result,
    platform::Platform,
    ports::transport::{Hop, Session},
};

/// So often counts are written.
const EVERY: Duration = Duration::from_secs(5);
/// Counts in memory; while the database is away, new ones beyond are not kept.
const MOST: usize = 50_000;
/// Rows of a statement.
const BATCH: usize = 1000;

/// Day, domain of the recipients, and SHA-256 of policy and failure.
pub(super) type Key = (Date, String, [u8; 32]);

/// Sessions with one result.
#[derive(Debug, Clone)]
pub(super) struct Count {
    pub policy_type: String,
    pub policy_domain: String,
    pub policy: String,
    pub failure: Option<String>,
    pub sessions: i64,
}

/// What is counted and not yet written.
#[derive(Default)]
pub(crate) struct Counted {
    counts: Mutex<BTreeMap<Key, Count>>,
}

impl Counted {
    /// Counts the sessions of an attempt to deliver to `domain` at its own mail exchangers.
    pub(crate) fn note(&self, platform: &Platform, domain: &str, hop: &Hop, sessions: &[Session]) {
        if sessions.is_empty() || platform.config().tls_reports.send == SendReports::Off {
            return;
        }
        let day = platform.now().to_offset(UtcOffset::UTC).date();
        let domain = domain.to_ascii_lowercase();
        for session in sessions {
            let Some(host) = hop.hosts.iter().find(|host| host.name == session.host) else {
                continue;
            };
            for outcome in outcomes(&domain, &hop.sts, host, session) {
                self.add(day, domain.clone(), &outcome);
            }
        }
    }

    fn add(&self, day: Date, domain: String, outcome: &Outcome) {
        // Plain structs of ours always serialise.
        let policy = serde_json::to_string(&outcome.policy).unwrap_or_default();
        let failure = outcome.failure.as_ref().and_then(|it| serde_json::to_string(it).ok());
        let text = format!("{policy}\n{}", failure.as_deref().unwrap_or_default());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        let Policy { policy_type, policy_domain, .. } = outcome.policy.clone();
        let count = Count { policy_type, policy_domain, policy, failure, sessions: 1 };
        self.put_in((day, domain, hash), count);
    }

    fn put_in(&self, key: Key, count: Count) {
        let mut counts = self.lock();
        if let Some(known) = counts.get_mut(&key) {
            known.sessions = known.sessions.saturating_add(count.sessions);
        } else if counts.len() < MOST {
            counts.insert(key, count);
        } else {
            metrics::counter!("posthouse_tls_results_lost_total").increment(1);
        }
    }

    /// Writes what is counted; what could not be written is counted again.
    pub(super) async fn write(&self, platform: &Platform) -> Result<()> {
        // In the order of keys, so that nodes do not wait for each other in a circle.
        let counts = std::mem::take(&mut *self.lock());
        let counts: Vec<(Key, Count)> = counts.into_iter().collect();
        for (number, batch) in counts.chunks(BATCH).enumerate() {
            let written = match platform.acquire().await {
                Ok(mut conn) => store::add(&mut conn, batch).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                let left = counts.into_iter().skip(number * BATCH);
                left.for_each(|(key, count)| self.put_in(key, count));
                return Err(error);
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes counts until shutdown, and then those that are left.
pub(crate) async fn write_on(platform: Platform, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => {}
        }
        if let Err(error) = platform.tls_reports().counted().write(&platform).await {
            tracing::warn!(error = ?error, "results of TLS could not be written; next time");
        }
        if shutdown.is_cancelled() {
            return;
        }
    }
}
