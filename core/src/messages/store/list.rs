//! SQL of finding messages.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Row;
use crate::{
    error::Result,
    id::{self, Account, Delivery, Id},
    messages::{MessageFilter, labels},
    page::{Keyset, fetch_page},
};

/// Most messages that are looked up and then looked at together.
const MOST: i64 = 4096;

/// Where in the list to go on, and how far.
struct Position {
    forward: bool,
    bound: Uuid,
    fetch: i64,
}

impl Position {
    const fn fetch(&self) -> i64 {
        self.fetch
    }
}

/// A page of messages. For a transaction whose statements are planned for their values.
pub(in crate::messages) async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    filter: &MessageFilter,
    keyset: &Keyset,
) -> Result<Vec<Row>> {
    let mut wanted =
        Position { forward: keyset.forward, bound: keyset.bound, fetch: keyset.fetch() };
    if !is_indexed(filter) {
        return matching(conn, account, (filter, None), &wanted).await;
    }
    let mut position = Position { ..wanted };
    let mut found = Vec::new();
    loop {
        let ids = candidates(conn, account, filter, &position).await?;
        let complete = i64::try_from(ids.len()).is_ok_and(|count| count < position.fetch);
        let messages = messages_of(&ids);
        let Some(last) = messages.last() else { return Ok(found) };
        let rows = matching(conn, account, (filter, Some(&messages)), &wanted).await?;
        wanted.fetch -= i64::try_from(rows.len()).unwrap_or(i64::MAX);
        found.extend(rows);
        if complete || wanted.fetch <= 0 {
            return Ok(found);
        }
        position.bound = *last;
        position.fetch = (position.fetch * 2).min(MOST);
    }
}

/// Whether there is an index for a part of the filter that is likely to be rare.
fn is_indexed(filter: &MessageFilter) -> bool {
    has_label(filter)
        || filter.to.is_some()
        || filter.domain.is_some()
        || filter.status.as_deref().is_some_and(|status| status != "delivered")
}

fn has_label(filter: &MessageFilter) -> bool {
    filter.tag.is_some() || !filter.metadata.is_empty()
}

/// Ids of messages or of their deliveries, in the order of the list.
async fn candidates(
    conn: &mut PgConnection,
    account: Id<Account>,
    filter: &MessageFilter,
    position: &Position,
) -> Result<Vec<Uuid>> {
    if has_label(filter) {
        labelled(conn, account, filter, position).await
    } else {
        delivered_to(conn, account, filter, position).await
    }
}

/// The messages that ids belong to, each once.
fn messages_of(ids: &[Uuid]) -> Vec<Uuid> {
    let mut messages: Vec<Uuid> =
        ids.iter().map(|id| Id::<Delivery>::from(*id).message().uuid()).collect();
    messages.dedup();
    messages
}

fn since(filter: &MessageFilter) -> Option<Uuid> {
    filter.since.map(|at| Id::<id::Message>::lower_bound(at).uuid())
}

fn until(filter: &MessageFilter) -> Option<Uuid> {
    filter.until.map(|at| Id::<id::Message>::lower_bound(at).uuid())
}

async fn labelled(
    conn: &mut PgConnection,
    account: Id<Account>,
    filter: &MessageFilter,
    position: &Position,
) -> Result<Vec<Uuid>> {
    // The others are compared in the messages themselves.
    let pair = filter.metadata.first_key_value().map(|(key, value)| labels::pair(key, value));
    let label = pair.or_else(|| filter.tag.as_deref().map(labels::tag));
    let rows = fetch_page!(
        conn,
        position,
        Candidate,
        r#"SELECT message_id AS "id!" FROM message_labels
         WHERE account_id = $3 AND label = $4
           AND ($5::uuid IS NULL OR message_id >= $5) AND ($6::uuid IS NULL OR message_id < $6)"#,
        "message_id",
        account.uuid(),
        label,
        since(filter) as Option<Uuid>,
        until(filter) as Option<Uuid>,
    );
    Ok(rows.into_iter().map(|row| row.id).collect())
}

struct Candidate {
    id: Uuid,
}

async fn delivered_to(
    conn: &mut PgConnection,
    account: Id<Account>,
    filter: &MessageFilter,
    position: &Position,
) -> Result<Vec<Uuid>> {
    // Deliveries of the message at the bound are behind it when the list goes back.
    let (_, last) = Id::<id::Message>::from(position.bound).deliveries().into_inner();
    let bound = if position.forward { position.bound } else { last };
    let position = &Position { bound, ..*position };
    let rows = fetch_page!(
        conn,
        position,
        Candidate,
        r#"SELECT delivery_id AS "id!"
         FROM (SELECT account_id, delivery_id, recipient, status FROM queue
               UNION ALL
               SELECT account_id, delivery_id, recipient, status FROM deliveries) AS d
         WHERE account_id = $3
           AND ($4::text IS NULL OR lower(recipient) = lower($4))
           AND ($5::text IS NULL OR split_part(recipient, '@', -1) = $5)
           AND ($6::text IS NULL OR status = $6)
           AND ($7::uuid IS NULL OR delivery_id >= $7)
           AND ($8::uuid IS NULL OR delivery_id < $8)"#,
        "delivery_id",
        account.uuid(),
        filter.to,
        filter.domain,
        filter.status,
        since(filter) as Option<Uuid>,
        until(filter) as Option<Uuid>,
    );
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Those of the messages that match all of the filter; none given: of all.
async fn matching(
    conn: &mut PgConnection,
    account: Id<Account>,
    (filter, messages): (&MessageFilter, Option<&[Uuid]>),
    position: &Position,
) -> Result<Vec<Row>> {
    let internet_id = filter
        .internet_message_id
        .as_deref()
        .map(|id| format!("<{}>", id.trim_start_matches('<').trim_end_matches('>')));
    let metadata = (!filter.metadata.is_empty()).then(|| serde_json::json!(filter.metadata));
    Ok(fetch_page!(
        conn,
        position,
        Row,
        r#"SELECT message_id, internet_message_id, door, mail_from, header_from, subject,
             size_bytes, recipients, tags, metadata, stream, require_tls, sandbox,
             blob_hash IS NOT NULL AS "has_content!", created_at
         FROM messages AS m WHERE account_id = $3
           AND ($4::text IS NULL OR left(internet_message_id, 200) = left($4, 200)
             AND internet_message_id = $4)
           AND ($5::text IS NULL OR mail_from = $5)
           AND ($6::text IS NULL OR tags::jsonb ? $6)
           AND ($7::uuid IS NULL OR message_id >= $7)
           AND ($8::uuid IS NULL OR message_id < $8)
           AND ($11::text IS NULL OR stream = $11)
           AND ($12::uuid[] IS NULL OR message_id = ANY($12))
           AND ($13::text IS NULL OR strpos(lower(subject), lower($13)) > 0)
           AND ($14::jsonb IS NULL OR metadata::jsonb @> $14)
           AND ($9::text IS NULL AND $10::text IS NULL AND $15::text IS NULL
             OR EXISTS (SELECT 1 FROM deliveries AS d WHERE d.account_id = $3
               AND d.delivery_id BETWEEN m.message_id
                 AND ((left(m.message_id::text, 33) || 'fff')::uuid)
               AND ($9::text IS NULL OR lower(d.recipient) = lower($9))
               AND ($15::text IS NULL OR split_part(d.recipient, '@', -1) = $15)
               AND ($10::text IS NULL OR d.status = $10))
             OR EXISTS (SELECT 1 FROM queue AS q WHERE q.account_id = $3
               AND q.shard = ('x' || substr(m.message_id::text, 32, 2))::bit(8)::integer
               AND q.delivery_id BETWEEN m.message_id
                 AND ((left(m.message_id::text, 33) || 'fff')::uuid)
               AND ($9::text IS NULL OR lower(q.recipient) = lower($9))
               AND ($15::text IS NULL OR split_part(q.recipient, '@', -1) = $15)
               AND ($10::text IS NULL OR q.status = $10)))"#,
        "message_id",
        account.uuid(),
        internet_id,
        filter.from,
        filter.tag,
        since(filter) as Option<Uuid>,
        until(filter) as Option<Uuid>,
        filter.to,
        filter.status,
        filter.stream,
        messages as Option<&[Uuid]>,
        filter.subject,
        metadata as Option<serde_json::Value>,
        filter.domain,
    ))
}
