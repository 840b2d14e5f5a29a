//! SQL of changes, and of forgetting them.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Position;
use crate::{
    error::Result,
    id::{Account, Id},
};

/// How long what an expunged mail said stays, for those who are just reading it.
const CONTENT_KEPT: Duration = Duration::hours(1);
/// How long tombstones stay, for those who come back.
const TOMBSTONES_KEPT: Duration = Duration::days(365);
/// Rows that one statement of the clean-up takes.
const AT_A_TIME: i64 = 1000;

/// Something that has changed.
pub(super) struct Row {
    pub id: Uuid,
    pub modseq: i64,
    pub createseq: i64,
    pub expunged: bool,
}

/// Changed mails, and the state of the account in the same snapshot.
pub(super) struct MailPage {
    pub current: i64,
    pub oldest: i64,
    pub rows: Vec<Row>,
}

/// Mails that have changed, in the order of the changes, from `position` on. None: there is no such
/// account. What the caller has never known and is gone is left out.
pub(super) async fn mails(
    conn: &mut PgConnection,
    account: Id<Account>,
    position: &Position,
    limit: i64,
) -> Result<Option<MailPage>> {
    let rows = sqlx::query!(
        r#"WITH state AS (
             SELECT modseq, changes_from FROM account_counters WHERE account_id = $1
         )
         SELECT state.modseq AS "current!", state.changes_from AS "oldest!",
             page.mail_id AS "id?", page.modseq AS "modseq?", page.createseq AS "createseq?",
             page.expunged AS "expunged?"
         FROM state LEFT JOIN LATERAL (
             SELECT m.mail_id, m.modseq, m.createseq, m.expunged
             FROM mailboxes AS b CROSS JOIN LATERAL (
                 SELECT mail_id, modseq, createseq, expunged FROM mails
                 WHERE account_id = $1 AND mailbox_id = b.mailbox_id
                   AND (modseq, mail_id) > ($2, $3) AND moved_mail_id IS NULL
                   AND NOT (expunged AND createseq > $4 AND modseq <= $5)
                 ORDER BY modseq, mail_id LIMIT $6
             ) AS m
             WHERE b.account_id = $1 AND b.modseq >= $2
             ORDER BY m.modseq, m.mail_id LIMIT $6
         ) AS page ON true
         ORDER BY page.modseq, page.mail_id"#,
        account.uuid(),
        position.modseq,
        position.mail,
        position.since,
        position.start,
        limit
    )
    .fetch_all(conn)
    .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let (current, oldest) = (first.current, first.oldest);
    let read = rows.into_iter().filter_map(|row| {
        let (createseq, expunged) = (row.createseq?, row.expunged?);
        Some(Row { id: row.id?, modseq: row.modseq?, createseq, expunged })
    });
    Ok(Some(MailPage { current, oldest, rows: read.collect() }))
}

/// Mailboxes that have changed, or whose mail has.
pub(super) async fn mailboxes(
    conn: &mut PgConnection,
    account: Id<Account>,
    since: i64,
) -> Result<Vec<Row>> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT mailbox_id AS id, modseq, createseq, expunged FROM mailboxes
         WHERE account_id = $1 AND modseq > $2 ORDER BY modseq, mailbox_id",
        account.uuid(),
        since
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

pub(super) async fn current(conn: &mut PgConnection, account: Id<Account>) -> Result<Option<i64>> {
    let modseq = sqlx::query_scalar!(
        "SELECT modseq FROM account_counters WHERE account_id = $1",
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(modseq)
}

/// Erases what mails said that were expunged some time ago, unless a copy says it still. The blobs
/// are collected when nothing refers to them any more.
pub(super) async fn erase(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    loop {
        let erased = sqlx::query_scalar!(
            r#"WITH due AS (
                 SELECT account_id, mail_id, content_id FROM mails
                 WHERE expunged AND content_id IS NOT NULL AND expunged_at < $1
                 ORDER BY expunged_at LIMIT $2
             ), cleared AS (
                 UPDATE mails AS m SET content_id = NULL FROM due
                 WHERE m.account_id = due.account_id AND m.mail_id = due.mail_id
                   AND m.content_id IS NOT NULL
                 RETURNING m.mail_id
             ), unused AS (
                 DELETE FROM mail_contents AS c USING due
                 WHERE c.account_id = due.account_id AND c.content_id = due.content_id
                   AND NOT EXISTS (SELECT 1 FROM mails AS m
                     WHERE m.account_id = c.account_id AND m.content_id = c.content_id
                       AND NOT EXISTS (SELECT 1 FROM due AS other
                         WHERE other.account_id = m.account_id AND other.mail_id = m.mail_id))
             )
             SELECT count(*) AS "count!" FROM cleared"#,
            now - CONTENT_KEPT,
            AT_A_TIME
        )
        .fetch_one(&mut *conn)
        .await?;
        if erased < AT_A_TIME {
            return Ok(());
        }
    }
}

/// Forgets old tombstones. From then on, changes cannot be told to those who ask for older ones.
pub(super) async fn forget(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    let before = now - TOMBSTONES_KEPT;
    let accounts = sqlx::query_scalar!(
        r#"SELECT account_id AS "account_id!" FROM mails
         WHERE expunged AND content_id IS NULL AND expunged_at < $1
         UNION SELECT account_id FROM mailboxes WHERE expunged AND expunged_at < $1"#,
        before
    )
    .fetch_all(&mut *conn)
    .await?;
    for account in accounts {
        while forget_some(conn, account, before).await? {}
    }
    Ok(())
}

/// Forgets some tombstones of an account; says whether there may be more.
async fn forget_some(
    conn: &mut PgConnection,
    account: Uuid,
    before: OffsetDateTime,
) -> Result<bool> {
    let forgotten = sqlx::query_scalar!(
        r#"WITH old AS (
             SELECT mail_id FROM mails
             WHERE account_id = $1 AND expunged AND content_id IS NULL AND expunged_at < $2
             ORDER BY modseq LIMIT $3
         ), mail AS (
             DELETE FROM mails AS m USING old
             WHERE m.account_id = $1 AND m.mail_id = old.mail_id RETURNING m.modseq
         ), mailbox AS (
             DELETE FROM mailboxes AS b WHERE b.account_id = $1 AND b.expunged AND b.expunged_at < $2
               AND NOT EXISTS (SELECT 1 FROM mails AS m
                 WHERE m.account_id = $1 AND m.mailbox_id = b.mailbox_id)
             RETURNING b.modseq
         ), state AS (
             UPDATE account_counters SET changes_from = greatest(changes_from,
                 (SELECT max(modseq) FROM mail), (SELECT max(modseq) FROM mailbox))
             WHERE account_id = $1
         )
         SELECT count(*) AS "count!" FROM mail"#,
        account,
        before,
        AT_A_TIME
    )
    .fetch_one(conn)
    .await?;
    Ok(forgotten >= AT_A_TIME)
}
