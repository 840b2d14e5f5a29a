//! SQL of messages. Finding them is in [`list`].

pub(super) mod list;

use std::collections::HashSet;

use posthouse_mail::dsn::Ret;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Message, Purpose, writer::Prepared};
use crate::{
    error::Result,
    id::{self, Account, Id},
    queue::Entry,
    suppressions,
};

/// What there is that may concern new deliveries. Rarely anything: then nobody asks further.
pub(super) struct Concerns {
    /// An account has limits of sending.
    pub limits: bool,
    /// A recipient is on a suppression list, or at a domain that is served here.
    pub suppressions: bool,
    /// There is a rule that holds deliveries of an account.
    pub holds: bool,
}

pub(super) async fn concerns(conn: &mut PgConnection, entries: &[&mut Entry]) -> Result<Concerns> {
    let each: Vec<Uuid> = entries.iter().map(|entry| entry.account.uuid()).collect();
    let accounts: HashSet<Uuid> = each.iter().copied().collect();
    let accounts: Vec<Uuid> = accounts.into_iter().collect();
    let (bases, domains) = suppressions::store::elsewhere(entries);
    let domains: Vec<String> = domains.into_iter().collect();
    let found = sqlx::query_as!(
        Concerns,
        r#"SELECT
             EXISTS (SELECT 1 FROM account_limits WHERE account_id = ANY($1)
                 AND (recipients_per_day IS NOT NULL OR new_recipients_per_day IS NOT NULL))
                 AS "limits!",
             EXISTS (SELECT 1 FROM domains WHERE name = ANY($2))
                 OR EXISTS (SELECT 1
                     FROM unnest($3::uuid[], $4::text[]) AS asked (account_id, base_address)
                     JOIN suppressions USING (account_id, base_address)) AS "suppressions!",
             EXISTS (SELECT 1 FROM queue_holds WHERE account_id IS NULL OR account_id = ANY($1))
                 AS "holds!""#,
        &accounts,
        &domains,
        &each,
        &bases
    )
    .fetch_one(conn)
    .await?;
    Ok(found)
}

/// Writes the rows of a batch.
#[expect(clippy::too_many_lines, reason = "one query with its parameters")]
pub(super) async fn insert(conn: &mut PgConnection, rows: &[&Prepared]) -> Result<()> {
    let accounts: Vec<Uuid> = rows.iter().map(|row| row.message.account.uuid()).collect();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.message.id.uuid()).collect();
    let times: Vec<_> = rows.iter().map(|row| row.message.created_at).collect();
    let doors: Vec<&str> = rows.iter().map(|row| row.door.as_str()).collect();
    let mail_froms: Vec<&str> = rows.iter().map(|row| &*row.message.mail_from).collect();
    let froms: Vec<&str> = rows.iter().map(|row| row.header_from.as_str()).collect();
    let subjects: Vec<&str> = rows.iter().map(|row| row.message.subject.as_str()).collect();
    let internet_ids: Vec<&str> =
        rows.iter().map(|row| row.message.internet_message_id.as_str()).collect();
    let sizes: Vec<i64> =
        rows.iter().map(|row| i64::try_from(row.size).unwrap_or(i64::MAX)).collect();
    let recipients: Vec<i32> =
        rows.iter().map(|row| i32::try_from(row.entries.len()).unwrap_or(i32::MAX)).collect();
    let hashes: Vec<&[u8]> = rows.iter().map(|row| row.blob.hash.as_slice()).collect();
    let prefixes: Vec<&[u8]> = rows.iter().map(|row| &*row.message.prefix).collect();
    let smtputf8: Vec<bool> = rows.iter().map(|row| row.message.smtputf8).collect();
    let eight_bit: Vec<bool> = rows.iter().map(|row| row.message.eight_bit).collect();
    let sandbox: Vec<bool> = rows.iter().map(|row| row.message.sandbox).collect();
    let tags: Vec<&str> = rows.iter().map(|row| row.message.tags.get()).collect();
    let metadata: Vec<&str> = rows.iter().map(|row| row.message.metadata.get()).collect();
    let streams: Vec<Option<&str>> = rows.iter().map(|row| row.stream.as_deref()).collect();
    let require_tls: Vec<Option<bool>> = rows.iter().map(|row| row.require_tls).collect();
    let dsn = || rows.iter().map(|row| &row.message.dsn);
    let ret: Vec<Option<&str>> = dsn().map(|dsn| dsn.ret.map(Ret::as_str)).collect();
    let envid: Vec<Option<&str>> = dsn().map(|dsn| dsn.envid.as_deref()).collect();
    sqlx::query!(
        "INSERT INTO messages (account_id, message_id, created_at, door, mail_from, header_from,
             subject, internet_message_id, size_bytes, recipients, blob_hash, prefix, smtputf8,
             eight_bit, sandbox, tags, metadata, stream, require_tls, dsn_ret, dsn_envid, is_report)
         SELECT c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16::json,
             c17::json, c18, c19, c20, c21, c22
         FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[],
             $6::text[], $7::text[], $8::text[], $9::bigint[], $10::integer[], $11::bytea[],
             $12::bytea[], $13::boolean[], $14::boolean[], $15::boolean[], $16::text[],
             $17::text[], $18::text[], $19::boolean[], $20::text[], $21::text[], $22::boolean[])
             AS new (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17,
                 c18, c19, c20, c21, c22)",
        &accounts,
        &ids,
        &times,
        &doors as &[&str],
        &mail_froms as &[&str],
        &froms as &[&str],
        &subjects as &[&str],
        &internet_ids as &[&str],
        &sizes,
        &recipients,
        &hashes as &[&[u8]],
        &prefixes as &[&[u8]],
        &smtputf8,
        &eight_bit,
        &sandbox,
        &tags as &[&str],
        &metadata as &[&str],
        &streams as &[Option<&str>],
        &require_tls as &[Option<bool>],
        &ret as &[Option<&str>],
        &envid as &[Option<&str>],
        &rows.iter().map(|row| row.message.purpose == Purpose::Report).collect::<Vec<_>>()
    )
    .execute(&mut *conn)
    .await?;
    insert_labels(conn, rows).await
}

async fn insert_labels(conn: &mut PgConnection, rows: &[&Prepared]) -> Result<()> {
    let (mut accounts, mut labels, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        for label in &row.labels {
            accounts.push(row.message.account.uuid());
            labels.push(*label);
            ids.push(row.message.id.uuid());
        }
    }
    if labels.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO message_labels (account_id, label, message_id)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[])",
        &accounts,
        &labels,
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) struct Row {
    pub message_id: Uuid,
    internet_message_id: String,
    door: String,
    mail_from: String,
    header_from: String,
    subject: String,
    size_bytes: i64,
    recipients: i32,
    tags: serde_json::Value,
    metadata: serde_json::Value,
    stream: Option<String>,
    require_tls: Option<bool>,
    sandbox: bool,
    has_content: bool,
    created_at: OffsetDateTime,
}

impl From<Row> for Message {
    fn from(row: Row) -> Self {
        Self {
            id: row.message_id.into(),
            internet_message_id: row.internet_message_id,
            door: row.door,
            mail_from: row.mail_from,
            from: row.header_from,
            subject: row.subject,
            size_bytes: row.size_bytes,
            recipients: row.recipients,
            tags: row.tags,
            metadata: row.metadata,
            stream: row.stream,
            require_tls: row.require_tls,
            sandbox: row.sandbox,
            has_content: row.has_content,
            created_at: row.created_at,
        }
    }
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<Option<Message>> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT message_id, internet_message_id, door, mail_from, header_from, subject,
             size_bytes, recipients, tags, metadata, stream, require_tls, sandbox,
             blob_hash IS NOT NULL AS "has_content!", created_at
         FROM messages WHERE account_id = $1 AND message_id = $2"#,
        account.uuid(),
        message.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Message::from))
}

/// Makes all statements of a transaction see the same state.
pub(super) async fn as_of_now(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether `account` has this message.
pub(crate) async fn exists(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<bool> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM messages WHERE account_id = $1 AND message_id = $2)
             AS "known!""#,
        account.uuid(),
        message.uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(known)
}

/// Prefix and blob of a message; `None` in the blob: redacted.
pub(super) async fn find_content(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<Option<(Vec<u8>, Option<Vec<u8>>)>> {
    let row = sqlx::query!(
        "SELECT prefix, blob_hash FROM messages WHERE account_id = $1 AND message_id = $2",
        account.uuid(),
        message.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.prefix, row.blob_hash)))
}

/// Forgets the content of a message, unless deliveries wait for it; whether it is gone. The blob goes
/// with the next clean-ups, when nothing else refers to it.
pub(super) async fn redact(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<bool> {
    let (first, last) = message.deliveries().into_inner();
    let done = sqlx::query!(
        "UPDATE messages SET blob_hash = NULL, prefix = ''
         WHERE account_id = $1 AND message_id = $2
           AND NOT EXISTS (SELECT 1 FROM queue
             WHERE shard = $3 AND delivery_id BETWEEN $4 AND $5)",
        account.uuid(),
        message.uuid(),
        i16::from(message.shard()),
        first,
        last
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
