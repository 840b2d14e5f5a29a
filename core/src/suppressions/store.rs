//! SQL of suppressions.

use std::collections::{HashMap, HashSet};

use posthouse_mail::address::{Address, suppression_base};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

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

/// Notes for each entry whether its recipient is suppressed, and whether it is at home here: one
/// question for all.
pub(crate) async fn mark(conn: &mut PgConnection, mut entries: Vec<&mut Entry>) -> Result<()> {
    let recipients: Vec<&str> = entries.iter().map(|entry| &*entry.recipient).collect();
    let bases = bases(conn, &recipients).await?;
    let accounts: Vec<Uuid> = entries.iter().map(|entry| entry.account.uuid()).collect();
    let addresses: Vec<&str> = bases.iter().map(|base| base.address.as_str()).collect();
    let rows = sqlx::query!(
        "SELECT s.account_id, s.base_address
         FROM unnest($1::uuid[], $2::text[]) AS asked (account_id, base_address)
         JOIN suppressions AS s USING (account_id, base_address)",
        &accounts,
        &addresses as &[&str]
    )
    .fetch_all(conn)
    .await?;
    let suppressed: HashSet<(Uuid, String)> =
        rows.into_iter().map(|row| (row.account_id, row.base_address)).collect();
    for (entry, base) in entries.iter_mut().zip(bases) {
        entry.suppressed = Some(suppressed.contains(&(entry.account.uuid(), base.address)));
        entry.at_home = base.at_home;
    }
    Ok(())
}

/// An entry to be made.
pub(super) struct NewSuppression<'a> {
    pub id: Id<Suppression>,
    pub account: Id<Account>,
    pub address: &'a str,
    pub base: &'a str,
    pub detail: &'a str,
    pub delivery: Id<Delivery>,
}

/// Writes entries with the reason `bounce`; tells the ids of those that were not there before.
pub(super) async fn insert_bounces(
    conn: &mut PgConnection,
    new: &[NewSuppression<'_>],
    now: OffsetDateTime,
) -> Result<HashSet<Uuid>> {
    let ids: Vec<Uuid> = new.iter().map(|one| one.id.uuid()).collect();
    let accounts: Vec<Uuid> = new.iter().map(|one| one.account.uuid()).collect();
    let addresses: Vec<&str> = new.iter().map(|one| one.address).collect();
    let bases: Vec<&str> = new.iter().map(|one| one.base).collect();
    let details: Vec<&str> = new.iter().map(|one| one.detail).collect();
    let deliveries: Vec<Uuid> = new.iter().map(|one| one.delivery.uuid()).collect();
    let rows = sqlx::query_scalar!(
        "INSERT INTO suppressions (account_id, base_address, suppression_id, address, reason,
             detail, delivery_id, created_at)
         SELECT a, b, i, r, 'bounce', t, d, $7
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[])
             AS new (i, a, r, b, t, d)
         ON CONFLICT (account_id, base_address) DO NOTHING
         RETURNING suppression_id",
        &ids,
        &accounts,
        &addresses as &[&str],
        &bases as &[&str],
        &details as &[&str],
        &deliveries,
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
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
