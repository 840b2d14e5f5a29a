//! SQL of conversations.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{PARTICIPANTS_OF, Thread, ThreadFilter};
use crate::{
    error::Result,
    id::{Account, Id},
    mails::{Mail, store::search::plan_for_values},
    page::{Keyset, fetch_page},
};

/// A conversation and its newest mail, by which conversations are in order.
pub(super) struct Row {
    pub mail_id: Uuid,
    pub thread_id: Uuid,
}

/// A page of conversations. For a transaction of its own.
pub(super) async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    filter: &ThreadFilter,
    keyset: &Keyset,
) -> Result<Vec<Row>> {
    plan_for_values(conn).await?;
    Ok(fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT m.mail_id, m.thread_id FROM mails AS m
         WHERE m.account_id = $3 AND NOT m.expunged
           AND ($4::uuid IS NULL OR m.mailbox_id = $4)
           AND m.mail_id = (SELECT x.mail_id FROM mails AS x
               WHERE x.account_id = $3 AND x.thread_id = m.thread_id AND NOT x.expunged
                 AND ($4::uuid IS NULL OR x.mailbox_id = $4)
               ORDER BY x.mail_id DESC LIMIT 1)
           AND (NOT $5 OR EXISTS (SELECT 1 FROM mails AS x
               WHERE x.account_id = $3 AND x.thread_id = m.thread_id AND NOT x.expunged
                 AND ($4::uuid IS NULL OR x.mailbox_id = $4) AND x.flags & 1 = 0))",
        "m.mail_id",
        account.uuid(),
        filter.mailbox.map(Id::uuid) as Option<Uuid>,
        filter.unseen,
    ))
}

/// What all mails of a conversation are together.
pub(super) struct Counts {
    pub thread_id: Uuid,
    mails: i64,
    unseen: i64,
    flagged: bool,
    size_bytes: i64,
    mailbox_ids: Vec<Uuid>,
    first_received_at: OffsetDateTime,
    last_received_at: OffsetDateTime,
}

impl Counts {
    pub(super) fn into_thread(self, participants: Vec<Value>, latest: Mail) -> Thread {
        Thread {
            id: self.thread_id.into(),
            mails: self.mails,
            unseen: self.unseen,
            flagged: self.flagged,
            size_bytes: self.size_bytes,
            mailbox_ids: self.mailbox_ids.into_iter().map(Id::from).collect(),
            participants,
            first_received_at: self.first_received_at,
            last_received_at: self.last_received_at,
            latest,
        }
    }
}

pub(super) async fn counts(
    conn: &mut PgConnection,
    account: Id<Account>,
    threads: &[Uuid],
) -> Result<Vec<Counts>> {
    let rows = sqlx::query_as!(
        Counts,
        r#"SELECT thread_id, count(*) AS "mails!", count(*) FILTER (WHERE flags & 1 = 0) AS "unseen!",
             bool_or(flags & 4 <> 0) AS "flagged!", sum(size_bytes)::bigint AS "size_bytes!",
             array_agg(DISTINCT mailbox_id) AS "mailbox_ids!",
             min(received_at) AS "first_received_at!", max(received_at) AS "last_received_at!"
         FROM mails WHERE account_id = $1 AND thread_id = ANY($2) AND NOT expunged
         GROUP BY thread_id"#,
        account.uuid(),
        threads
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// From of the newest mails of each conversation, the newest first.
pub(super) async fn authors(
    conn: &mut PgConnection,
    account: Id<Account>,
    threads: &[Uuid],
) -> Result<Vec<(Uuid, Value)>> {
    let rows = sqlx::query!(
        r#"SELECT t AS "thread_id!", c.envelope -> 'from' AS "from!"
         FROM unnest($2::uuid[]) AS t,
           LATERAL (SELECT m.content_id, m.mail_id FROM mails AS m
               WHERE m.account_id = $1 AND m.thread_id = t AND NOT m.expunged
               ORDER BY m.mail_id DESC LIMIT $3) AS newest
         JOIN mail_contents AS c ON c.account_id = $1 AND c.content_id = newest.content_id
         ORDER BY newest.mail_id DESC"#,
        account.uuid(),
        threads,
        PARTICIPANTS_OF
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.thread_id, row.from)).collect())
}
