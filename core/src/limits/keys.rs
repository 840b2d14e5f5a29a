//! Recipients of what is sent with an API key that has a limit of its own.

use std::collections::{BTreeSet, HashMap};

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    sending::{API_KEY, RECIPIENTS, Wanted, count, day_before, hour, wait},
    store::{self, KeyCounts},
};
use crate::{
    error::{Error, Result},
    id::{ApiKey, Id},
};

/// A key with a limit, while a batch is looked at.
struct Ledger {
    before: KeyCounts,
    recipients: i64,
}

/// The keys of a batch that have limits. Their rows stay locked until the end of the transaction.
pub(super) struct Keys(HashMap<Id<ApiKey>, Ledger>);

impl Keys {
    /// Asks nothing when no key is to be counted.
    pub(super) async fn load(
        conn: &mut PgConnection,
        wanted: &[Wanted],
        now: OffsetDateTime,
    ) -> Result<Self> {
        let keys: BTreeSet<Id<ApiKey>> = wanted.iter().filter_map(|one| one.key).collect();
        if keys.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let keys: Vec<_> = keys.into_iter().map(Id::uuid).collect();
        let limited = store::lock_keys(conn, &keys).await?;
        let counts = store::key_counts(conn, &limited, day_before(now)).await?;
        let ledger = |before: KeyCounts| (before.key, Ledger { before, recipients: 0 });
        Ok(Self(counts.into_iter().map(ledger).collect()))
    }

    /// Whether the limit of its key allows this.
    pub(super) fn check(&self, wanted: &Wanted, now: OffsetDateTime) -> Result<()> {
        let Some(ledger) = wanted.key.and_then(|key| self.0.get(&key)) else { return Ok(()) };
        let more = count(wanted.recipients.len());
        let limit = ledger.before.recipients_per_day;
        if more > 0 && ledger.before.recipients + ledger.recipients + more > limit {
            let retry_after = wait(ledger.before.oldest, now);
            return Err(Error::SendingLimit { who: API_KEY, limit, what: RECIPIENTS, retry_after });
        }
        Ok(())
    }

    /// Counts what is allowed.
    pub(super) fn take(&mut self, wanted: &Wanted) {
        if let Some(ledger) = wanted.key.and_then(|key| self.0.get_mut(&key)) {
            ledger.recipients += count(wanted.recipients.len());
        }
    }

    /// Writes what was counted.
    pub(super) async fn write(self, conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
        for (key, ledger) in self.0 {
            if ledger.recipients > 0 {
                store::add_of_key(conn, key, hour(now), ledger.recipients).await?;
            }
        }
        Ok(())
    }
}
