//! SQL of what comes back.

use std::collections::HashSet;

use posthouse_mail::dsn::OriginalRecipient;
use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Kind, News, token::Mark};
use crate::{
    error::Result,
    id::{self, Account, Delivery, Id},
    mails::store::beginnings,
};

/// What events say of a message.
pub(super) struct MessageFacts {
    pub id: Id<id::Message>,
    pub mail_from: String,
    pub subject: String,
    pub internet_message_id: String,
    pub tags: Box<RawValue>,
    pub metadata: Box<RawValue>,
    pub sandbox: bool,
}

/// The message that a token was made for, if it is still known.
pub(super) async fn by_mark(
    conn: &mut PgConnection,
    account: Id<Account>,
    mark: Mark,
) -> Result<Option<Id<id::Message>>> {
    let (first, last) = mark.bounds();
    // All that the account sent in one millisecond.
    let ids = sqlx::query_scalar!(
        "SELECT message_id FROM messages
         WHERE account_id = $1 AND message_id BETWEEN $2 AND $3 LIMIT 10000",
        account.uuid(),
        first,
        last
    )
    .fetch_all(conn)
    .await?;
    let mut fitting = ids.into_iter().map(Id::from).filter(|id| mark.is_of(*id));
    let found = fitting.next();
    // Two cannot be told apart: then it is neither.
    Ok(found.filter(|_| fitting.next().is_none()))
}

/// Messages of the account with one of these Message-IDs, newest first.
pub(super) async fn by_internet_ids(
    conn: &mut PgConnection,
    account: Id<Account>,
    ids: &[&str],
) -> Result<Vec<(Id<id::Message>, String)>> {
    let rows = sqlx::query!(
        "SELECT message_id, internet_message_id FROM messages
         WHERE account_id = $1 AND left(internet_message_id, 200) = ANY($2)
           AND internet_message_id = ANY($3)
         ORDER BY message_id DESC LIMIT 20",
        account.uuid(),
        &beginnings(ids),
        ids as &[&str]
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.message_id.into(), row.internet_message_id)).collect())
}

/// What events say of a message.
pub(super) async fn facts(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<Option<MessageFacts>> {
    let row = sqlx::query!(
        r#"SELECT mail_from, subject, internet_message_id, tags AS "tags: Json<Box<RawValue>>",
             metadata AS "metadata: Json<Box<RawValue>>", sandbox
         FROM messages WHERE account_id = $1 AND message_id = $2"#,
        account.uuid(),
        message.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| MessageFacts {
        id: message,
        mail_from: row.mail_from,
        subject: row.subject,
        internet_message_id: row.internet_message_id,
        tags: row.tags.0,
        metadata: row.metadata.0,
        sandbox: row.sandbox,
    }))
}

/// A delivery that a report may be about.
pub(super) struct Sent {
    pub delivery: Id<Delivery>,
    pub recipient: String,
    pub attempts: i16,
    /// The original recipient as the sender has given it: reports name that one.
    pub original: Option<OriginalRecipient>,
}

/// Deliveries of a message, waiting and ended.
pub(super) async fn deliveries(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<Vec<Sent>> {
    let (first, last) = message.deliveries().into_inner();
    let rows = sqlx::query!(
        r#"SELECT delivery_id AS "delivery_id!", recipient AS "recipient!",
             attempts AS "attempts!", dsn_orcpt
         FROM queue WHERE shard = $2 AND delivery_id BETWEEN $3 AND $4 AND account_id = $1
         UNION ALL
         SELECT delivery_id, recipient, attempts, dsn_orcpt
         FROM deliveries WHERE account_id = $1 AND delivery_id BETWEEN $3 AND $4"#,
        account.uuid(),
        i16::from(message.shard()),
        first,
        last
    )
    .fetch_all(conn)
    .await?;
    let sent = rows.into_iter().map(|row| Sent {
        delivery: row.delivery_id.into(),
        recipient: row.recipient,
        attempts: row.attempts,
        original: row.dsn_orcpt.map(OriginalRecipient::from_text),
    });
    Ok(sent.collect())
}

/// Notes reports; tells which of them are new. `fingerprint` is that of the mail.
pub(super) async fn note(
    conn: &mut PgConnection,
    account: Id<Account>,
    news: &[News],
    (fingerprint, now): (&[u8], OffsetDateTime),
) -> Result<HashSet<(Id<Delivery>, String)>> {
    let ids: Vec<Uuid> = news.iter().map(|one| one.delivery.uuid()).collect();
    let kinds: Vec<&str> = news.iter().map(|one| one.kind.as_str()).collect();
    let prints: Vec<&[u8]> =
        news.iter().map(|one| if one.kind.can_come_again() { fingerprint } else { &[] }).collect();
    let rows = sqlx::query!(
        "INSERT INTO delivery_reports (account_id, delivery_id, kind, fingerprint, reported_at)
         SELECT $1, d, k, f, $5 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS new (d, k, f)
         ORDER BY d, k
         ON CONFLICT DO NOTHING
         RETURNING delivery_id, kind",
        account.uuid(),
        &ids,
        &kinds as &[&str],
        &prints as &[&[u8]],
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.delivery_id.into(), row.kind)).collect())
}

/// Marks deliveries as bounced or complained about, wherever they are: the queue first, as a row
/// that leaves it appears among those that have ended.
pub(super) async fn stamp(
    conn: &mut PgConnection,
    account: Id<Account>,
    news: &[&News],
    now: OffsetDateTime,
) -> Result<()> {
    let shards: Vec<i16> = news.iter().map(|one| i16::from(one.delivery.shard())).collect();
    let ids: Vec<Uuid> = news.iter().map(|one| one.delivery.uuid()).collect();
    let bounced: Vec<bool> = news.iter().map(|one| one.kind == Kind::Failed).collect();
    sqlx::query!(
        "UPDATE queue AS q
         SET bounced_at = CASE WHEN new.bounced THEN coalesce(q.bounced_at, $5)
                 ELSE q.bounced_at END,
             complained_at = CASE WHEN new.bounced THEN q.complained_at
                 ELSE coalesce(q.complained_at, $5) END
         FROM unnest($2::smallint[], $3::uuid[], $4::boolean[]) AS new (shard, id, bounced)
         WHERE q.shard = new.shard AND q.delivery_id = new.id AND q.account_id = $1",
        account.uuid(),
        &shards,
        &ids,
        &bounced,
        now
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE deliveries AS d
         SET bounced_at = CASE WHEN new.bounced THEN coalesce(d.bounced_at, $4)
                 ELSE d.bounced_at END,
             complained_at = CASE WHEN new.bounced THEN d.complained_at
                 ELSE coalesce(d.complained_at, $4) END
         FROM unnest($2::uuid[], $3::boolean[]) AS new (id, bounced)
         WHERE d.account_id = $1 AND d.delivery_id = new.id",
        account.uuid(),
        &ids,
        &bounced,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts bounces without a clear reason; gives the recipients for whom it was the third.
pub(super) async fn count_bounces(
    conn: &mut PgConnection,
    account: Id<Account>,
    recipients: &[&str],
    now: OffsetDateTime,
) -> Result<HashSet<String>> {
    if recipients.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query_scalar!(
        "INSERT INTO recent_bounces AS b (account_id, recipient, bounces, last_at)
         SELECT DISTINCT $1::uuid, r, 1, $3::timestamptz FROM unnest($2::text[]) AS new (r)
         ORDER BY r
         ON CONFLICT (account_id, recipient) DO UPDATE
             SET bounces = b.bounces + 1, last_at = excluded.last_at
         RETURNING CASE WHEN bounces >= 3 THEN recipient END",
        account.uuid(),
        recipients as &[&str],
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().flatten().collect())
}
