//! SQL of mail.

pub(crate) mod search;

use posthouse_mail::parse::Part;
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{FLAGS, Mail, NewMail, Origin, deliver::is_automated, quota::Used, search::tsvector};
use crate::{
    error::{Error, Result},
    id::{self, Account, Id, Thread},
    mailboxes::store::Slot,
};

/// Takes the next modseq and with it the lock on the account.
///
/// # Errors
/// `NotFound` when the account is gone.
pub(crate) async fn next_modseq(conn: &mut PgConnection, account: Id<Account>) -> Result<i64> {
    let modseq = sqlx::query_scalar!(
        "UPDATE account_counters SET modseq = modseq + 1 WHERE account_id = $1 RETURNING modseq",
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    modseq.ok_or(Error::NotFound("account"))
}

/// Counts octets of mail; none: there is no such account.
pub(super) async fn charge(
    conn: &mut PgConnection,
    account: Id<Account>,
    size: i64,
) -> Result<Option<Used>> {
    let used = sqlx::query_as!(
        Used,
        "UPDATE account_counters AS c SET mail_bytes = c.mail_bytes + $2
         FROM accounts AS a WHERE c.account_id = $1 AND a.account_id = $1
         RETURNING c.mail_bytes, a.quota_bytes",
        account.uuid(),
        size
    )
    .fetch_optional(conn)
    .await?;
    Ok(used)
}

/// What the mail of an account takes.
pub(crate) async fn used(conn: &mut PgConnection, account: Id<Account>) -> Result<Option<Used>> {
    let used = sqlx::query_as!(
        Used,
        "SELECT c.mail_bytes, a.quota_bytes
         FROM account_counters AS c JOIN accounts AS a USING (account_id) WHERE account_id = $1",
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(used)
}

/// A conversation that has a certain mail.
pub(super) struct KnownThread {
    pub thread: Id<Thread>,
    pub internet_message_id: String,
    pub base_subject: String,
}

/// Conversations of mails with these Message-IDs.
pub(super) async fn find_threads(
    conn: &mut PgConnection,
    account: Id<Account>,
    ids: &[&str],
) -> Result<Vec<KnownThread>> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT m.thread_id, c.internet_message_id AS "internet_message_id!",
             c.base_subject
         FROM mail_contents AS c
         JOIN mails AS m ON m.account_id = c.account_id AND m.content_id = c.content_id
         WHERE c.account_id = $1 AND left(c.internet_message_id, 200) = ANY($2)
           AND c.internet_message_id = ANY($3)
         ORDER BY m.thread_id LIMIT 1000"#,
        account.uuid(),
        &beginnings(ids),
        ids as &[&str]
    )
    .fetch_all(conn)
    .await?;
    let threads = rows.into_iter().map(|row| KnownThread {
        thread: row.thread_id.into(),
        internet_message_id: row.internet_message_id,
        base_subject: row.base_subject,
    });
    Ok(threads.collect())
}

/// What an index holds of Message-IDs: they can be longer than its entries may be.
pub(crate) fn beginnings(message_ids: &[&str]) -> Vec<String> {
    message_ids.iter().map(|id| id.chars().take(200).collect()).collect()
}

/// Text without NUL, which Postgres cannot store.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// JSON without NUL in strings.
fn storable_json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string(value).map_err(Error::internal)?;
    Ok(text.replace("\\u0000", "\u{fffd}"))
}

/// Writes what a mail says.
pub(super) async fn insert_content(conn: &mut PgConnection, mail: &NewMail) -> Result<()> {
    let parsed = &mail.parsed;
    let reception = match &mail.origin {
        Origin::Received(reception) => Some(storable_json(reception)?),
        Origin::SentCopy | Origin::Dsn | Origin::Appended => None,
    };
    let recipient = match &mail.origin {
        Origin::Received(reception) => Some(reception.rcpt_to.as_str()),
        _ => None,
    };
    let words = tsvector(mail.account, &parsed.words, recipient);
    sqlx::query!(
        "WITH content AS (
             INSERT INTO mail_contents (account_id, content_id, blob_hash, prefix, size_bytes,
                 internet_message_id, base_subject, envelope, structure, preview, attachments,
                 reception, list, automated, dsn, refers_to)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::json, $9::text::json, $10,
                 $11::text::json, $12::text::json, $13, $14, $15, $16)
         )
         INSERT INTO mail_search (account_id, content_id, words)
         VALUES ($1, $2, $17::text::tsvector)",
        mail.account.uuid(),
        mail.content_id.uuid(),
        mail.blob.hash.as_slice(),
        &*mail.prefix,
        mail.size,
        parsed.envelope.message_id.as_deref().map(storable),
        storable(&parsed.base_subject),
        storable_json(&parsed.envelope)?,
        storable_json(&mail.structure())?,
        storable(&parsed.preview),
        storable_json(&parsed.attachments)?,
        reception,
        parsed.list,
        is_automated(mail),
        parsed.is_dsn,
        mail.refers_to.map(Id::uuid),
        words
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where and how a mail is put.
pub(super) struct NewRow<'a> {
    pub slot: &'a Slot,
    pub thread: Id<Thread>,
    pub flags: i32,
    pub modseq: i64,
}

/// Puts a mail into its mailbox.
pub(super) async fn insert_mail(
    conn: &mut PgConnection,
    mail: &NewMail,
    row: &NewRow<'_>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO mails (account_id, mail_id, mailbox_id, uid, content_id, thread_id, flags,
             createseq, modseq, size_bytes, received_at, saved_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $10)",
        mail.account.uuid(),
        mail.id.uuid(),
        row.slot.mailbox.uuid(),
        row.slot.uid,
        mail.content_id.uuid(),
        row.thread.uuid(),
        row.flags,
        row.modseq,
        mail.size,
        mail.received_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) struct Row {
    pub mail_id: Uuid,
    mailbox_id: Uuid,
    uid: i64,
    modseq: i64,
    thread_id: Uuid,
    envelope: Value,
    flags: i32,
    keywords: Vec<String>,
    size_bytes: i64,
    preview: String,
    attachments: Value,
    reception: Option<Value>,
    list: bool,
    automated: bool,
    dsn: bool,
    refers_to: Option<Uuid>,
    received_at: OffsetDateTime,
}

impl From<Row> for Mail {
    fn from(row: Row) -> Self {
        let set =
            |(bit, name): (usize, &&'static str)| (row.flags & (1 << bit) != 0).then_some(*name);
        Self {
            id: row.mail_id.into(),
            mailbox_id: row.mailbox_id.into(),
            uid: row.uid,
            modseq: row.modseq,
            thread_id: row.thread_id.into(),
            envelope: row.envelope,
            flags: FLAGS.iter().enumerate().filter_map(set).collect(),
            keywords: row.keywords,
            size_bytes: row.size_bytes,
            preview: row.preview,
            attachments: row.attachments,
            reception: row.reception,
            list: row.list,
            automated: row.automated,
            dsn: row.dsn,
            refers_to: row.refers_to.map(Id::from),
            received_at: row.received_at,
        }
    }
}

pub(super) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    mail: Id<id::Mail>,
) -> Result<Option<Mail>> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT m.mail_id, m.mailbox_id, m.uid, m.modseq, m.thread_id, c.envelope, m.flags,
             ARRAY(SELECT b.keywords[k] FROM mailboxes AS b, unnest(m.keywords) AS k
                   WHERE b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id)
                 AS "keywords!",
             m.size_bytes, c.preview, c.attachments, c.reception, c.list, c.automated, c.dsn,
             c.refers_to, m.received_at
         FROM mails AS m
         JOIN mail_contents AS c ON c.account_id = m.account_id AND c.content_id = m.content_id
         WHERE m.account_id = $1 AND m.mail_id = $2 AND NOT m.expunged"#,
        account.uuid(),
        mail.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Mail::from))
}

/// Where the octets of a mail are, and how they are structured.
pub(super) struct Content {
    pub prefix: Vec<u8>,
    pub blob_hash: Vec<u8>,
    pub structure: Json<Part>,
}

pub(super) async fn find_content(
    conn: &mut PgConnection,
    account: Id<Account>,
    mail: Id<id::Mail>,
) -> Result<Option<Content>> {
    let row = sqlx::query_as!(
        Content,
        r#"SELECT c.prefix, c.blob_hash, c.structure AS "structure: Json<Part>"
         FROM mails AS m
         JOIN mail_contents AS c ON c.account_id = m.account_id AND c.content_id = m.content_id
         WHERE m.account_id = $1 AND m.mail_id = $2 AND NOT m.expunged"#,
        account.uuid(),
        mail.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}
