//! SQL of the queue: touched by primary key only.

pub(in crate::queue) mod leases;
mod views;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use posthouse_mail::dsn::{MailDsn, OriginalRecipient, Ret};
use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) use views::{deliveries_of, dsn_of, find_delivery, list_deliveries};

use super::{
    Entry,
    entry::{Held, rcpt_dsn},
    millis,
};
use crate::{
    blobs::{self, Body, Stored},
    error::Result,
    id::{self, Account, Id},
    messages::{Purpose, writer::Prepared},
    platform::Platform,
    ports::transport::{Content, RequireTls},
};

/// A message as the delivery needs it.
pub(crate) struct Message {
    pub id: Id<id::Message>,
    pub account: Id<Account>,
    pub mail_from: Arc<str>,
    pub subject: String,
    pub internet_message_id: String,
    pub created_at: OffsetDateTime,
    pub sandbox: bool,
    pub purpose: Purpose,
    pub tags: Box<RawValue>,
    pub metadata: Box<RawValue>,
    /// Complete header lines that go before the body.
    pub prefix: Bytes,
    pub body: Stored,
    pub smtputf8: bool,
    pub eight_bit: bool,
    /// What the sender wants of reports.
    pub dsn: MailDsn,
    /// Counts the body as long as that is in memory from before the first attempt.
    pub held: OnceLock<Held>,
}

impl Message {
    /// The octets as they go out; `body` is the one of this message, opened.
    pub(super) fn content(&self, body: Body) -> Content {
        let (prefix, smtputf8, eight_bit) = (self.prefix.clone(), self.smtputf8, self.eight_bit);
        Content { prefix, body, smtputf8, eight_bit }
    }

    /// How much of it a report of a failure brings back. With REQUIRETLS never more than the header,
    /// whatever the sender has said (RFC 8689 §5).
    pub(super) fn ret(&self, require_tls: RequireTls) -> Ret {
        let ret = self.dsn.ret.unwrap_or_default();
        if require_tls == RequireTls::Yes { Ret::Headers } else { ret }
    }
}

/// Rows of `load_shard` at a time.
const LOAD: i64 = 5000;

/// Writes the recipients of a batch; false: a shard has another owner now.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    node: Uuid,
    rows: &[&Prepared],
) -> Result<bool> {
    let mut columns = NewRows::default();
    for row in rows {
        for entry in &row.entries {
            columns.shards.push(i16::from(entry.id.shard()));
            columns.epochs.push(row.epoch);
            columns.ids.push(entry.id.uuid());
            columns.accounts.push(entry.account.uuid());
            columns.recipients.push(&entry.recipient);
            columns.statuses.push(if entry.held.is_some() { "on_hold" } else { row.status });
            columns.due.push(entry.due);
            columns.expires.push(row.expires_at);
            columns.sandbox.push(row.message.sandbox);
            columns.topics.push(entry.topic.as_deref());
            columns.require_tls.push(entry.require_tls.into());
            columns.notify.push(entry.notify_text());
            columns.orcpt.push(entry.orcpt().map(OriginalRecipient::as_str));
        }
    }
    let done = sqlx::query!(
        "INSERT INTO queue (shard, delivery_id, account_id, recipient, status, next_attempt_at,
             expires_at, sandbox, topic, require_tls, dsn_notify, dsn_orcpt)
         SELECT new.shard, new.id, new.account, new.recipient, new.status,
             to_timestamp(new.due / 1000.0), new.expires, new.sandbox, new.topic, new.tls,
             new.notify, new.orcpt
         FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
             $7::bigint[], $8::timestamptz[], $9::boolean[], $10::text[], $12::boolean[],
             $13::text[], $14::text[])
             AS new (shard, epoch, id, account, recipient, status, due, expires, sandbox, topic,
                 tls, notify, orcpt)
         JOIN queue_shards AS s
             ON s.shard = new.shard AND s.epoch = new.epoch AND s.owner = $11",
        &columns.shards,
        &columns.epochs,
        &columns.ids,
        &columns.accounts,
        &columns.recipients as &[&str],
        &columns.statuses as &[&str],
        &columns.due,
        &columns.expires as &[Option<OffsetDateTime>],
        &columns.sandbox,
        &columns.topics as &[Option<&str>],
        node,
        &columns.require_tls as &[Option<bool>],
        &columns.notify as &[Option<String>],
        &columns.orcpt as &[Option<&str>]
    )
    .execute(conn)
    .await?;
    Ok(usize::try_from(done.rows_affected()) == Ok(columns.ids.len()))
}

#[derive(Default)]
struct NewRows<'a> {
    shards: Vec<i16>,
    epochs: Vec<i64>,
    ids: Vec<Uuid>,
    accounts: Vec<Uuid>,
    recipients: Vec<&'a str>,
    statuses: Vec<&'static str>,
    due: Vec<i64>,
    expires: Vec<Option<OffsetDateTime>>,
    sandbox: Vec<bool>,
    topics: Vec<Option<&'a str>>,
    require_tls: Vec<Option<bool>>,
    notify: Vec<Option<String>>,
    orcpt: Vec<Option<&'a str>>,
}

/// A row of the queue.
struct EntryRow {
    delivery_id: Uuid,
    account_id: Uuid,
    recipient: String,
    attempts: i16,
    next_attempt_at: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    last_address: Option<String>,
    sandbox: bool,
    topic: Option<String>,
    transport_id: Option<Uuid>,
    require_tls: Option<bool>,
    dsn_notify: Option<String>,
    dsn_orcpt: Option<String>,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        let (id, account) = (Id::from(row.delivery_id), Id::from(row.account_id));
        let mut entry = Self::new(id, account, &row.recipient, row.next_attempt_at);
        entry.attempts = u16::try_from(row.attempts).unwrap_or(0);
        entry.expires = row.expires_at.map_or(i64::MAX, millis);
        entry.last_address = row.last_address.and_then(|text| text.parse().ok());
        entry.sandbox = row.sandbox;
        entry.topic = row.topic.map(Into::into);
        entry.transport = row.transport_id.map(Id::from);
        entry.require_tls = row.require_tls.into();
        entry.dsn = rcpt_dsn(row.dsn_notify.as_deref(), row.dsn_orcpt);
        entry
    }
}

/// What waits in `shard` after the delivery `after`, in order, some thousand at a time.
pub(super) async fn load_shard(
    conn: &mut PgConnection,
    shard: i16,
    after: Uuid,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query_as!(
        EntryRow,
        "SELECT delivery_id, account_id, recipient, attempts, next_attempt_at, expires_at,
             last_address, sandbox, topic, transport_id, require_tls, dsn_notify, dsn_orcpt
         FROM queue WHERE shard = $1 AND delivery_id > $2 AND status <> 'on_hold'
         ORDER BY delivery_id LIMIT $3",
        shard,
        after,
        LOAD
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Those of these deliveries that wait and are not held, after the end of transactions that are
/// changing them.
pub(super) async fn load_some(
    conn: &mut PgConnection,
    shards: &[i16],
    ids: &[Uuid],
) -> Result<Vec<Entry>> {
    let rows = sqlx::query_as!(
        EntryRow,
        "SELECT q.delivery_id, q.account_id, q.recipient, q.attempts, q.next_attempt_at,
             q.expires_at, q.last_address, q.sandbox, q.topic, q.transport_id,
             q.require_tls, q.dsn_notify, q.dsn_orcpt
         FROM unnest($1::smallint[], $2::uuid[]) AS asked (shard, id)
         JOIN queue AS q ON q.shard = asked.shard AND q.delivery_id = asked.id
         WHERE q.status <> 'on_hold'
         ORDER BY q.delivery_id FOR UPDATE OF q",
        shards,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// What is stored of the parameters of MAIL.
pub(crate) fn mail_dsn(ret: Option<&str>, envid: Option<String>) -> MailDsn {
    MailDsn { ret: ret.and_then(|text| text.parse().ok()), envid }
}

/// Messages without their content: for events.
pub(super) async fn load_heads(
    conn: &mut PgConnection,
    wanted: &[(Id<Account>, Id<id::Message>)],
) -> Result<Vec<Message>> {
    let accounts: Vec<Uuid> = wanted.iter().map(|(account, _)| account.uuid()).collect();
    let ids: Vec<Uuid> = wanted.iter().map(|(_, message)| message.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT m.account_id, m.message_id, m.mail_from, m.subject, m.internet_message_id,
             m.created_at, m.sandbox, m.is_report, m.tags AS "tags: Json<Box<RawValue>>",
             m.metadata AS "metadata: Json<Box<RawValue>>", m.prefix, m.smtputf8, m.eight_bit,
             m.dsn_ret, m.dsn_envid
         FROM unnest($1::uuid[], $2::uuid[]) AS wanted (account_id, message_id)
         JOIN messages AS m USING (account_id, message_id)"#,
        &accounts,
        &ids
    )
    .fetch_all(conn)
    .await?;
    let messages = rows.into_iter().map(|row| Message {
        id: row.message_id.into(),
        account: row.account_id.into(),
        mail_from: row.mail_from.into(),
        subject: row.subject,
        internet_message_id: row.internet_message_id,
        created_at: row.created_at,
        sandbox: row.sandbox,
        purpose: row.is_report.into(),
        tags: row.tags.0,
        metadata: row.metadata.0,
        prefix: Bytes::from(row.prefix),
        body: Stored::from(Bytes::new()),
        smtputf8: row.smtputf8,
        eight_bit: row.eight_bit,
        dsn: mail_dsn(row.dsn_ret.as_deref(), row.dsn_envid),
        held: OnceLock::new(),
    });
    Ok(messages.collect())
}

/// Reads messages with their content, but not what is in the blob store. Those whose content is
/// missing or damaged are left out and logged.
pub(super) async fn load_messages(
    platform: &Platform,
    wanted: &[(Id<Account>, Id<id::Message>)],
) -> Result<Vec<Arc<Message>>> {
    let accounts: Vec<Uuid> = wanted.iter().map(|(account, _)| account.uuid()).collect();
    let ids: Vec<Uuid> = wanted.iter().map(|(_, message)| message.uuid()).collect();
    let mut conn = platform.acquire().await?;
    let rows = sqlx::query!(
        r#"SELECT m.account_id, m.message_id, m.mail_from, m.subject, m.internet_message_id,
             m.created_at, m.sandbox, m.is_report, m.tags AS "tags: Json<Box<RawValue>>",
             m.metadata AS "metadata: Json<Box<RawValue>>", m.prefix, m.smtputf8, m.eight_bit,
             m.dsn_ret, m.dsn_envid, b.hash, b.size_bytes, b.compression, b.data, b.object
         FROM unnest($1::uuid[], $2::uuid[]) AS wanted (account_id, message_id)
         JOIN messages AS m USING (account_id, message_id)
         JOIN blobs AS b ON b.account_id = m.account_id AND b.hash = m.blob_hash"#,
        &accounts,
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    drop(conn);
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let blob = blobs::store::BlobRow {
            size_bytes: row.size_bytes,
            compression: row.compression,
            data: row.data,
            object: row.object,
        };
        let Ok(body) = platform.blobs().stored(&row.hash, blob) else {
            continue;
        };
        messages.push(Arc::new(Message {
            id: row.message_id.into(),
            account: row.account_id.into(),
            mail_from: row.mail_from.into(),
            subject: row.subject,
            internet_message_id: row.internet_message_id,
            created_at: row.created_at,
            sandbox: row.sandbox,
            purpose: row.is_report.into(),
            tags: row.tags.0,
            metadata: row.metadata.0,
            prefix: Bytes::from(row.prefix),
            body,
            smtputf8: row.smtputf8,
            eight_bit: row.eight_bit,
            dsn: mail_dsn(row.dsn_ret.as_deref(), row.dsn_envid),
            held: OnceLock::new(),
        }));
    }
    Ok(messages)
}
