//! Counting recipients of messages that are taken.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    notices::{self, Reached},
    store::{self, Counts},
};
use crate::{
    cx::Tx,
    error::{Error, Result},
    id::{Account, Id},
};

const RECIPIENTS: &str = "recipients";

/// What an account wants to send at once: all of it or nothing.
pub(crate) struct Wanted {
    pub account: Id<Account>,
    /// In lower case; empty for what does not count.
    pub recipients: Vec<String>,
}

/// An account with limits, while a batch is looked at.
struct Ledger {
    before: Counts,
    recipients: i64,
    new: HashSet<String>,
}

/// Counts messages, one after the other; gives back why the others are refused. The rows of the
/// limits stay locked until the end of the transaction, so nobody else counts meanwhile.
pub(crate) async fn admit(
    conn: &mut PgConnection,
    wanted: &[Wanted],
    now: OffsetDateTime,
) -> Result<Vec<Option<Error>>> {
    let accounts: BTreeSet<Id<Account>> = wanted.iter().map(|one| one.account).collect();
    let accounts: Vec<_> = accounts.into_iter().map(Id::uuid).collect();
    let limited = store::lock(conn, &accounts).await?;
    if limited.is_empty() {
        return Ok(wanted.iter().map(|_| None).collect());
    }
    let limited: Vec<_> = limited.into_iter().map(Id::uuid).collect();
    let counts = store::counts(conn, &limited, day_before(now)).await?;
    let unknown = unknown(conn, wanted, &counts).await?;
    let ledger = |before: Counts| Ledger { before, recipients: 0, new: HashSet::new() };
    let mut ledgers: HashMap<Id<Account>, Ledger> =
        counts.into_iter().map(|counts| (counts.account, ledger(counts))).collect();
    let mut verdicts = Vec::with_capacity(wanted.len());
    for one in wanted {
        let verdict = ledgers.get_mut(&one.account).map(|ledger| ledger.take(one, &unknown, now));
        verdicts.push(verdict.and_then(Result::err));
    }
    for (account, ledger) in ledgers {
        if ledger.recipients > 0 {
            let new: Vec<String> = ledger.new.into_iter().collect();
            store::add(conn, account, hour(now), (ledger.recipients, &new)).await?;
        }
    }
    Ok(verdicts)
}

/// Tells an account that has sent as much as it may; once a day for each limit.
pub(crate) async fn tell_refusal(tx: &mut Tx, account: Id<Account>, error: &Error) -> Result<()> {
    let Error::SendingLimit { limit, what, .. } = error else { return Ok(()) };
    let name = if *what == RECIPIENTS { "recipients_per_day" } else { "new_recipients_per_day" };
    let window = Duration::from_hours(24);
    let since = tx.now() - window;
    let reached = Reached { account, key: None, name, limit: *limit, window, since };
    notices::tell(tx, &reached).await
}

/// Recipients that their account has not written to, as far as that is counted.
async fn unknown(
    conn: &mut PgConnection,
    wanted: &[Wanted],
    counts: &[Counts],
) -> Result<HashSet<(Id<Account>, String)>> {
    let counted = |one: &&Wanted| {
        let counts = counts.iter().find(|counts| counts.account == one.account);
        counts.is_some_and(|counts| counts.new_recipients_per_day.is_some())
    };
    let pairs = wanted.iter().filter(counted).flat_map(|one| {
        one.recipients.iter().map(|recipient| (one.account.uuid(), recipient.clone()))
    });
    let (accounts, recipients): (Vec<_>, Vec<_>) = pairs.unzip();
    if accounts.is_empty() {
        return Ok(HashSet::new());
    }
    store::unknown(conn, &accounts, &recipients).await
}

impl Ledger {
    fn take(
        &mut self,
        wanted: &Wanted,
        unknown: &HashSet<(Id<Account>, String)>,
        now: OffsetDateTime,
    ) -> Result<()> {
        let is_new = |recipient: &&String| {
            let pair = (wanted.account, (*recipient).clone());
            unknown.contains(&pair) && !self.new.contains(*recipient)
        };
        let new: HashSet<&String> = wanted.recipients.iter().filter(is_new).collect();
        let more = count(wanted.recipients.len());
        let all = self.before.recipients + self.recipients + more;
        let all_new = self.before.new_recipients + count(self.new.len()) + count(new.len());
        let over = |limit: Option<i64>, used: i64, what| match limit {
            Some(limit) if more > 0 && used > limit => {
                Err(Error::SendingLimit { limit, what, retry_after: self.before.wait(now) })
            }
            _ => Ok(()),
        };
        over(self.before.recipients_per_day, all, RECIPIENTS)?;
        if !new.is_empty() {
            over(self.before.new_recipients_per_day, all_new, "new recipients")?;
        }
        self.recipients += more;
        self.new.extend(new.into_iter().cloned());
        Ok(())
    }
}

impl Counts {
    /// Until the first of the hours that count does so no longer.
    fn wait(&self, now: OffsetDateTime) -> Duration {
        let oldest = self.oldest.unwrap_or_else(|| hour(now));
        let end = oldest + time::Duration::hours(24);
        Duration::try_from(end - now).unwrap_or(Duration::ZERO).max(Duration::from_secs(1))
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The hour that `now` is in.
fn hour(now: OffsetDateTime) -> OffsetDateTime {
    let seconds = now.unix_timestamp() - now.unix_timestamp().rem_euclid(3600);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Hours after this one count: those that are not over for a day.
pub(super) fn day_before(now: OffsetDateTime) -> OffsetDateTime {
    hour(now) - time::Duration::hours(24)
}
