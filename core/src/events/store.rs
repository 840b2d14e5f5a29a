//! SQL of the event log.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::NewEvent;
use crate::{
    error::Result,
    id::{Account, Id},
};

/// Appends `events` in their order and gives back the accounts that they belong to.
///
/// Takes the lock on the counters of these accounts (in the order of their ids) until the end of
/// the transaction: the next writer gets later numbers and commits later. So a reader that has seen
/// number n has seen everything before n.
pub(crate) async fn append(
    conn: &mut PgConnection,
    events: &[NewEvent],
) -> Result<Vec<Id<Account>>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut next = reserve(conn, events).await?;
    let mut seqs = Vec::with_capacity(events.len());
    for event in events {
        let seq = next.entry(event.account.uuid()).or_default();
        *seq += 1;
        seqs.push(*seq);
    }
    let accounts: Vec<Uuid> = events.iter().map(|event| event.account.uuid()).collect();
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.uuid()).collect();
    let kinds: Vec<String> = events.iter().map(|event| event.kind.as_str().to_owned()).collect();
    let times: Vec<_> = events.iter().map(|event| event.at).collect();
    let messages: Vec<Option<Uuid>> =
        events.iter().map(|event| event.message.map(Id::uuid)).collect();
    let data: Vec<String> = events.iter().map(|event| event.data.clone()).collect();
    sqlx::query!(
        "INSERT INTO events (account_id, seq, event_id, type, occurred_at, message_id, data)
         SELECT a, s, e, k, t, m, d::json FROM unnest($1::uuid[], $2::bigint[], $3::uuid[],
             $4::text[], $5::timestamptz[], $6::uuid[], $7::text[]) AS new (a, s, e, k, t, m, d)",
        &accounts,
        &seqs,
        &ids,
        &kinds,
        &times,
        &messages as &[Option<Uuid>],
        &data
    )
    .execute(conn)
    .await?;
    Ok(next.into_keys().map(Id::from).collect())
}

/// Counts the events of each account up; gives the last number used before.
async fn reserve(conn: &mut PgConnection, events: &[NewEvent]) -> Result<BTreeMap<Uuid, i64>> {
    let mut counts = BTreeMap::<Uuid, i64>::new();
    for event in events {
        *counts.entry(event.account.uuid()).or_default() += 1;
    }
    let (accounts, numbers): (Vec<Uuid>, Vec<i64>) = counts.into_iter().unzip();
    let rows = sqlx::query!(
        r#"WITH locked AS (
             SELECT account_id FROM account_counters WHERE account_id = ANY($1)
             ORDER BY account_id FOR UPDATE
         )
         UPDATE account_counters AS c SET event_seq = c.event_seq + new.n
         FROM unnest($1::uuid[], $2::bigint[]) AS new (account_id, n)
         WHERE c.account_id = new.account_id
           AND c.account_id IN (SELECT account_id FROM locked)
         RETURNING c.account_id, c.event_seq - new.n AS "last!""#,
        &accounts,
        &numbers
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.account_id, row.last)).collect())
}
