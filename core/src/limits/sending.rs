//! Counting recipients of messages that are taken.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    keys::Keys,
    notices::{self, Reached},
    store::{self, Counts},
};
use crate::{
    cx::Tx,
    error::{Error, Result},
    id::{Account, ApiKey, Id},
};

pub(super) const RECIPIENTS: &str = "recipients";
pub(super) const API_KEY: &str = "API key";

/// Pairs of an account and a recipient.
type Pairs = HashSet<(Id<Account>, String)>;

/// What an account wants to send at once: all of it or nothing.
pub(crate) struct Wanted {
    pub account: Id<Account>,
    /// The key that it comes with, if that has a limit of its own.
    pub key: Option<Id<ApiKey>>,
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
/// limits stay locked until the end of the transaction, so nobody else counts meanwhile. What is too
/// much for one of key and account does not count for the other.
pub(crate) async fn admit(
    conn: &mut PgConnection,
    wanted: &[Wanted],
    now: OffsetDateTime,
) -> Result<Vec<Option<Error>>> {
    let accounts: BTreeSet<Id<Account>> = wanted.iter().map(|one| one.account).collect();
    let accounts: Vec<_> = accounts.into_iter().map(Id::uuid).collect();
    let limited = store::lock(conn, &accounts).await?;
    let mut keys = Keys::load(conn, wanted, now).await?;
    let (mut ledgers, unknown) = open(conn, wanted, &limited, now).await?;
    let mut verdicts = Vec::with_capacity(wanted.len());
    for one in wanted {
        let mut verdict = keys.check(one, now);
        if let (Ok(()), Some(ledger)) = (&verdict, ledgers.get_mut(&one.account)) {
            verdict = ledger.take(one, &unknown, now);
        }
        if verdict.is_ok() {
            keys.take(one);
        }
        verdicts.push(verdict.err());
    }
    for (account, ledger) in ledgers {
        if ledger.recipients > 0 {
            let new: Vec<String> = ledger.new.into_iter().collect();
            store::add(conn, account, hour(now), (ledger.recipients, &new)).await?;
        }
    }
    keys.write(conn, now).await?;
    Ok(verdicts)
}

/// What the accounts with limits have sent, and which of the recipients they have not written to.
async fn open(
    conn: &mut PgConnection,
    wanted: &[Wanted],
    limited: &[Id<Account>],
    now: OffsetDateTime,
) -> Result<(HashMap<Id<Account>, Ledger>, Pairs)> {
    if limited.is_empty() {
        return Ok((HashMap::new(), HashSet::new()));
    }
    let limited: Vec<_> = limited.iter().map(|account| account.uuid()).collect();
    let counts = store::counts(conn, &limited, day_before(now)).await?;
    let unknown = unknown(conn, wanted, &counts).await?;
    let ledger = |before: Counts| Ledger { before, recipients: 0, new: HashSet::new() };
    let ledgers = counts.into_iter().map(|counts| (counts.account, ledger(counts))).collect();
    Ok((ledgers, unknown))
}

/// Tells an account that has sent as much as it may, or may with `key`; once a day for each
/// limit.
pub(crate) async fn tell_refusal(
    tx: &mut Tx,
    account: Id<Account>,
    key: Option<Id<ApiKey>>,
    error: &Error,
) -> Result<()> {
    let Error::SendingLimit { who, limit, what, .. } = error else { return Ok(()) };
    let key = key.filter(|_| *who == API_KEY);
    let name = if *what == RECIPIENTS { "recipients_per_day" } else { "new_recipients_per_day" };
    let window = Duration::from_hours(24);
    let since = tx.now() - window;
    let reached = Reached { account, key, name, limit: *limit, window, since };
    notices::tell(tx, &reached).await
}

/// Recipients that their account has not written to, as far as that is counted.
async fn unknown(conn: &mut PgConnection, wanted: &[Wanted], counts: &[Counts]) -> Result<Pairs> {
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
    fn take(&mut self, wanted: &Wanted, unknown: &Pairs, now: OffsetDateTime) -> Result<()> {
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
                let retry_after = wait(self.before.oldest, now);
                Err(Error::SendingLimit { who: "account", limit, what, retry_after })
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

/// Until the first of the hours that count, `oldest`, does so no longer.
pub(super) fn wait(oldest: Option<OffsetDateTime>, now: OffsetDateTime) -> Duration {
    let end = oldest.unwrap_or_else(|| hour(now)) + time::Duration::hours(24);
    Duration::try_from(end - now).unwrap_or(Duration::ZERO).max(Duration::from_secs(1))
}

pub(super) fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The hour that `now` is in.
pub(super) fn hour(now: OffsetDateTime) -> OffsetDateTime {
    let seconds = now.unix_timestamp() - now.unix_timestamp().rem_euclid(3600);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Hours after this one count: those that are not over for a day.
pub(super) fn day_before(now: OffsetDateTime) -> OffsetDateTime {
    hour(now) - time::Duration::hours(24)
}
