//! SQL of suppressions: what the queue needs. That of the list itself is in [`entries`].

pub(super) mod entries;

use std::collections::{BTreeSet, HashMap, HashSet};

use posthouse_mail::address::{Address, suppression_base};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{CHANNEL, Changes, Reason};
use crate::{
    error::Result,
    id::{Account, Delivery, Id, Suppression},
    queue::Entry,
};

/// What a recipient is compared by, and whether its domain is served here.
pub(super) struct Base {
    pub address: String,
    pub at_home: bool,
}

/// Base addresses of recipients: separators count only in domains that are served here.
pub(super) async fn bases(conn: &mut PgConnection, recipients: &[&str]) -> Result<Vec<Base>> {
    let addresses: Vec<Option<Address>> =
        recipients.iter().map(|text| Address::parse(text).ok()).collect();
    let names: HashSet<&str> = addresses.iter().flatten().map(Address::domain).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let rows = sqlx::query!(
        "SELECT name, separators FROM domains WHERE name = ANY($1)",
        &names as &[&str]
    )
    .fetch_all(conn)
    .await?;
    let separators: HashMap<String, Vec<String>> =
        rows.into_iter().map(|row| (row.name, row.separators)).collect();
    let base = |(address, text): (&Option<Address>, &&str)| match address {
        Some(address) => {
            let own = separators.get(address.domain());
            let base = suppression_base(address, own.map_or(&[][..], Vec::as_slice));
            Base { address: base, at_home: own.is_some() }
        }
        None => Base { address: (*text).to_owned(), at_home: false },
    };
    Ok(addresses.iter().zip(recipients).map(base).collect())
}

/// What recipients are compared by if their domains are not served here, and these domains.
pub(crate) fn elsewhere(entries: &[&mut Entry]) -> (Vec<String>, HashSet<String>) {
    let (mut bases, mut domains) = (Vec::with_capacity(entries.len()), HashSet::new());
    for entry in entries {
        match Address::parse(&entry.recipient) {
            Ok(address) => {
                bases.push(suppression_base(&address, &[]));
                domains.insert(address.domain().to_owned());
            }
            Err(_) => bases.push(entry.recipient.as_ref().to_owned()),
        }
    }
    (bases, domains)
}

/// Notes for each entry that neither it nor its domain is known here; `count` is that of
/// [`Changes`] before that was asked.
pub(crate) fn mark_unlisted(entries: Vec<&mut Entry>, count: u64) {
    for entry in entries {
        entry.suppressed = Some(false);
        entry.asked = count;
        entry.at_home = false;
    }
}

/// Notes for each entry whether its recipient is suppressed, and whether it is at home here: one
/// question for all.
pub(crate) async fn mark(
    conn: &mut PgConnection,
    changes: &Changes,
    mut entries: Vec<&mut Entry>,
    now: OffsetDateTime,
) -> Result<()> {
    let count = changes.count();
    let recipients: Vec<&str> = entries.iter().map(|entry| &*entry.recipient).collect();
    let bases = bases(conn, &recipients).await?;
    let accounts: Vec<Uuid> = entries.iter().map(|entry| entry.account.uuid()).collect();
    let addresses: Vec<&str> = bases.iter().map(|base| base.address.as_str()).collect();
    let rows = sqlx::query!(
        "SELECT s.account_id, s.base_address, s.topic
         FROM unnest($1::uuid[], $2::text[]) AS asked (account_id, base_address)
         JOIN suppressions AS s USING (account_id, base_address)
         WHERE s.expires_at IS NULL OR s.expires_at > $3",
        &accounts,
        &addresses as &[&str],
        now
    )
    .fetch_all(conn)
    .await?;
    let suppressed: HashSet<(Uuid, &str, &str)> =
        rows.iter().map(|row| (row.account_id, &*row.base_address, &*row.topic)).collect();
    for (entry, base) in entries.iter_mut().zip(&bases) {
        let account = entry.account.uuid();
        let is_listed = |topic| suppressed.contains(&(account, base.address.as_str(), topic));
        let suppressed = is_listed("") || entry.topic.as_deref().is_some_and(is_listed);
        entry.suppressed = Some(suppressed);
        entry.asked = count;
        entry.at_home = base.at_home;
    }
    Ok(())
}

/// An entry to be written.
pub(crate) struct NewEntry<'a> {
    pub id: Id<Suppression>,
    pub account: Id<Account>,
    /// The address that gave the reason.
    pub address: &'a str,
    /// Its [`Base`].
    pub base: &'a str,
    /// Empty: all mail of the account.
    pub topic: &'a str,
    pub reason: Reason,
    pub detail: &'a str,
    pub delivery: Option<Id<Delivery>>,
    pub expires_at: Option<OffsetDateTime>,
}

/// What became of a [`NewEntry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is on the list now.
    Created,
    /// It was there, and says something else now.
    Updated,
    /// It was there.
    Unchanged,
}

/// What to do with entries that are there already. One that has expired is as good as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// They stay; of several new ones for the same recipient the first counts.
    Keep,
    /// They get reason, detail and end of the new one; of several the last counts.
    Replace,
}

/// Writes entries; tells for each what became of it.
pub(crate) async fn write(
    conn: &mut PgConnection,
    new: &[NewEntry<'_>],
    existing: Existing,
    now: OffsetDateTime,
) -> Result<Vec<Written>> {
    let chosen = choose(new, existing);
    let rows = upsert(conn, &chosen, existing == Existing::Replace, now).await?;
    let written: HashMap<(Uuid, &str, &str), Uuid> = rows
        .iter()
        .map(|row| {
            let key = (row.account_id, row.base_address.as_str(), row.topic.as_str());
            (key, row.suppression_id)
        })
        .collect();
    let changed = rows.iter().map(|row| row.account_id.into());
    tell(conn, changed).await?;
    let became = |one: &NewEntry<'_>| match written.get(&(one.account.uuid(), one.base, one.topic))
    {
        Some(id) if *id == one.id.uuid() => Written::Created,
        Some(_) if chosen.iter().any(|chosen| chosen.id == one.id) => Written::Updated,
        _ => Written::Unchanged,
    };
    Ok(new.iter().map(became).collect())
}

/// A row that was made or changed.
struct WrittenRow {
    suppression_id: Uuid,
    account_id: Uuid,
    base_address: String,
    topic: String,
}

async fn upsert(
    conn: &mut PgConnection,
    chosen: &[&NewEntry<'_>],
    replace: bool,
    now: OffsetDateTime,
) -> Result<Vec<WrittenRow>> {
    let ids: Vec<Uuid> = chosen.iter().map(|one| one.id.uuid()).collect();
    let accounts: Vec<Uuid> = chosen.iter().map(|one| one.account.uuid()).collect();
    let bases: Vec<&str> = chosen.iter().map(|one| one.base).collect();
    let topics: Vec<&str> = chosen.iter().map(|one| one.topic).collect();
    let addresses: Vec<&str> = chosen.iter().map(|one| one.address).collect();
    let reasons: Vec<&str> = chosen.iter().map(|one| one.reason.as_str()).collect();
    let details: Vec<&str> = chosen.iter().map(|one| one.detail).collect();
    let deliveries: Vec<Option<Uuid>> =
        chosen.iter().map(|one| one.delivery.map(Id::uuid)).collect();
    let ends: Vec<Option<OffsetDateTime>> = chosen.iter().map(|one| one.expires_at).collect();
    // In order, so that two transactions never wait for each other in a circle.
    let rows = sqlx::query_as!(
        WrittenRow,
        "INSERT INTO suppressions AS s (suppression_id, account_id, base_address, topic, address,
             reason, detail, delivery_id, expires_at, created_at)
         SELECT i, a, b, t, r, why, d, v, e, $10
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
             $7::text[], $8::uuid[], $9::timestamptz[]) AS new (i, a, b, t, r, why, d, v, e)
         ORDER BY a, b, t
         ON CONFLICT (account_id, base_address, topic) DO UPDATE SET
             suppression_id = CASE WHEN s.expires_at <= $10 THEN excluded.suppression_id
                 ELSE s.suppression_id END,
             created_at = CASE WHEN s.expires_at <= $10 THEN excluded.created_at
                 ELSE s.created_at END,
             delivery_id = CASE WHEN s.expires_at <= $10 THEN excluded.delivery_id
                 ELSE coalesce(excluded.delivery_id, s.delivery_id) END,
             address = excluded.address, reason = excluded.reason, detail = excluded.detail,
             expires_at = excluded.expires_at
         WHERE s.expires_at <= $10 OR $11 AND (s.reason, s.detail, s.expires_at)
             IS DISTINCT FROM (excluded.reason, excluded.detail, excluded.expires_at)
         RETURNING s.suppression_id, s.account_id, s.base_address, s.topic",
        &ids,
        &accounts,
        &bases as &[&str],
        &topics as &[&str],
        &addresses as &[&str],
        &reasons as &[&str],
        &details as &[&str],
        &deliveries as &[Option<Uuid>],
        &ends as &[Option<OffsetDateTime>],
        now,
        replace
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// One entry for each recipient and topic: a statement cannot write a row twice.
fn choose<'a, 'b>(new: &'a [NewEntry<'b>], existing: Existing) -> Vec<&'a NewEntry<'b>> {
    let mut seen = HashSet::new();
    let mut fresh = |one: &&NewEntry<'b>| seen.insert((one.account, one.base, one.topic));
    match existing {
        Existing::Keep => new.iter().filter(|one| fresh(one)).collect(),
        Existing::Replace => new.iter().rev().filter(|one| fresh(one)).collect(),
    }
}

/// Tells all nodes, with the commit, that the lists of these accounts have changed.
pub(super) async fn tell(
    conn: &mut PgConnection,
    accounts: impl Iterator<Item = Id<Account>>,
) -> Result<()> {
    let accounts: BTreeSet<Id<Account>> = accounts.collect();
    if accounts.is_empty() {
        return Ok(());
    }
    let accounts: Vec<String> = accounts.iter().map(Id::to_string).collect();
    sqlx::query!(
        "SELECT pg_notify($1, account) FROM unnest($2::text[]) AS changed (account)",
        CHANNEL,
        &accounts
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Counts unclear failures; gives back the deliveries that were the third in a row.
pub(super) async fn count_failures(
    conn: &mut PgConnection,
    failures: &[(Id<Account>, &str, Id<Delivery>)],
    now: OffsetDateTime,
) -> Result<HashSet<Id<Delivery>>> {
    // Two failures of one recipient in one statement would collide: one at a time counts.
    let mut unique = HashMap::new();
    for (account, recipient, delivery) in failures {
        unique.insert((account.uuid(), *recipient), *delivery);
    }
    let accounts: Vec<Uuid> = unique.keys().map(|(account, _)| *account).collect();
    let recipients: Vec<&str> = unique.keys().map(|(_, recipient)| *recipient).collect();
    let rows = sqlx::query!(
        "INSERT INTO recent_failures AS f (account_id, recipient, failures, last_at)
         SELECT a, r, 1, $3 FROM unnest($1::uuid[], $2::text[]) AS new (a, r) ORDER BY a, r
         ON CONFLICT (account_id, recipient) DO UPDATE
             SET failures = f.failures + 1, last_at = excluded.last_at
         RETURNING account_id, recipient, failures",
        &accounts,
        &recipients as &[&str],
        now
    )
    .fetch_all(conn)
    .await?;
    let third = rows.into_iter().filter(|row| row.failures >= 3);
    Ok(third
        .filter_map(|row| unique.get(&(row.account_id, row.recipient.as_str())).copied())
        .collect())
}

/// Forgets unclear failures of recipients that were reached.
pub(super) async fn forget_failures(
    conn: &mut PgConnection,
    reached: &[(Id<Account>, &str)],
) -> Result<()> {
    let accounts: Vec<Uuid> = reached.iter().map(|(account, _)| account.uuid()).collect();
    let recipients: Vec<&str> = reached.iter().map(|(_, recipient)| *recipient).collect();
    sqlx::query!(
        "DELETE FROM recent_failures AS f
         USING unnest($1::uuid[], $2::text[]) AS reached (account_id, recipient)
         WHERE f.account_id = reached.account_id AND f.recipient = reached.recipient",
        &accounts,
        &recipients as &[&str]
    )
    .execute(conn)
    .await?;
    Ok(())
}
