//! SQL of the event log.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::NewEvent;
use crate::{
    error::{Error, Result},
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
    let mut counts = BTreeMap::<Uuid, i64>::new();
    let mut nths = Vec::with_capacity(events.len());
    for event in events {
        let count = counts.entry(event.account.uuid()).or_default();
        *count += 1;
        nths.push(*count);
    }
    let (concerned, numbers): (Vec<Uuid>, Vec<i64>) = counts.into_iter().unzip();
    let accounts: Vec<Uuid> = events.iter().map(|event| event.account.uuid()).collect();
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.uuid()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    let times: Vec<_> = events.iter().map(|event| event.at).collect();
    let messages: Vec<Option<Uuid>> =
        events.iter().map(|event| event.message.map(Id::uuid)).collect();
    let data: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
    let done = sqlx::query!(
        "WITH locked AS (
             SELECT account_id FROM account_counters WHERE account_id = ANY($1)
             ORDER BY account_id FOR UPDATE
         ), counted AS (
             UPDATE account_counters AS c SET event_seq = c.event_seq + more.n
             FROM unnest($1::uuid[], $2::bigint[]) AS more (account_id, n)
             WHERE c.account_id = more.account_id
               AND c.account_id IN (SELECT account_id FROM locked)
             RETURNING c.account_id, c.event_seq - more.n AS last
         )
         INSERT INTO events (account_id, seq, event_id, type, occurred_at, message_id, data)
         SELECT a, last + nth, e, k, t, m, d::json
         FROM unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::timestamptz[],
             $8::uuid[], $9::text[]) AS new (a, nth, e, k, t, m, d)
         JOIN counted ON account_id = a",
        &concerned,
        &numbers,
        &accounts,
        &nths,
        &ids,
        &kinds as &[&str],
        &times,
        &messages as &[Option<Uuid>],
        &data as &[&str]
    )
    .execute(conn)
    .await?;
    if usize::try_from(done.rows_affected()) != Ok(events.len()) {
        return Err(Error::internal("an account of an event is gone"));
    }
    Ok(concerned.into_iter().map(Id::from).collect())
}
