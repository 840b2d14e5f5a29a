//! SQL of moving and copying mail.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Found, learn_keywords};
use crate::{
    error::Result,
    id::{self, Account, Id, Mailbox},
};

/// Room for mails in a mailbox: the first uid, and what the uids belong to.
#[derive(Debug, Clone, Copy)]
pub(in crate::mails::change) struct Room {
    pub mailbox: Id<Mailbox>,
    pub first_uid: i64,
    pub uidvalidity: i64,
}

/// Takes `count` uids of a mailbox. None: there is no such mailbox.
pub(in crate::mails::change) async fn take_uids(
    conn: &mut PgConnection,
    account: Id<Account>,
    mailbox: Id<Mailbox>,
    count: usize,
) -> Result<Option<Room>> {
    let row = sqlx::query!(
        r#"UPDATE mailboxes SET uidnext = uidnext + $3
         WHERE account_id = $1 AND mailbox_id = $2 AND NOT expunged
         RETURNING uidnext - $3 AS "first_uid!", uidvalidity"#,
        account.uuid(),
        mailbox.uuid(),
        i64::try_from(count).unwrap_or(i64::MAX)
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Room { mailbox, first_uid: row.first_uid, uidvalidity: row.uidvalidity }))
}

/// One mail on its way: `source` is what it was, `id` the new tombstone or the copy.
pub(in crate::mails::change) struct Way {
    pub source: Found,
    pub id: Id<id::Mail>,
    pub uid: i64,
}

/// Where mails go, when, and as which change.
#[derive(Clone, Copy)]
pub(in crate::mails::change) struct Journey<'a> {
    pub account: Id<Account>,
    pub room: Room,
    pub ways: &'a [Way],
    pub modseq: i64,
    pub now: OffsetDateTime,
}

impl Journey<'_> {
    fn sources(&self) -> Vec<Uuid> {
        self.ways.iter().map(|way| way.source.mail.uuid()).collect()
    }

    fn ids(&self) -> Vec<Uuid> {
        self.ways.iter().map(|way| way.id.uuid()).collect()
    }

    fn uids(&self) -> Vec<i64> {
        self.ways.iter().map(|way| way.uid).collect()
    }

    /// Teaches the other mailbox the keywords of the mails.
    async fn learn(&self, conn: &mut PgConnection) -> Result<()> {
        let names = used_keywords(conn, self.account, &self.sources()).await?;
        learn_keywords(conn, self.account, &[self.room.mailbox.uuid()], &names).await
    }
}

/// Keywords that some of these mails have.
async fn used_keywords(
    conn: &mut PgConnection,
    account: Id<Account>,
    mails: &[Uuid],
) -> Result<Vec<String>> {
    let names = sqlx::query_scalar!(
        r#"SELECT DISTINCT b.keywords[k] AS "name!" FROM mails AS m
         JOIN mailboxes AS b ON b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id,
           unnest(m.keywords) AS k
         WHERE m.account_id = $1 AND m.mail_id = ANY($2) ORDER BY 1"#,
        account.uuid(),
        mails
    )
    .fetch_all(conn)
    .await?;
    Ok(names)
}

/// Moves mails: they keep their ids, and tombstones stay where they were (L5).
pub(in crate::mails::change) async fn relocate(
    conn: &mut PgConnection,
    journey: &Journey<'_>,
) -> Result<()> {
    journey.learn(conn).await?;
    let (sources, uids) = (journey.sources(), journey.uids());
    sqlx::query!(
        "UPDATE mails AS m SET mailbox_id = $4, uid = way.uid, modseq = $5, saved_at = $6,
             keywords = ARRAY(
                 SELECT array_position(target.keywords, source.keywords[k])::smallint
                 FROM unnest(m.keywords) AS k ORDER BY 1)
         FROM unnest($2::uuid[], $3::bigint[]) AS way (mail_id, uid),
           mailboxes AS source, mailboxes AS target
         WHERE m.account_id = $1 AND m.mail_id = way.mail_id
           AND source.account_id = $1 AND source.mailbox_id = m.mailbox_id
           AND target.account_id = $1 AND target.mailbox_id = $4",
        journey.account.uuid(),
        &sources,
        &uids,
        journey.room.mailbox.uuid(),
        journey.modseq,
        journey.now
    )
    .execute(&mut *conn)
    .await?;
    let mailboxes: Vec<Uuid> = journey.ways.iter().map(|way| way.source.mailbox.uuid()).collect();
    let old_uids: Vec<i64> = journey.ways.iter().map(|way| way.source.uid).collect();
    sqlx::query!(
        "INSERT INTO mails (account_id, mail_id, mailbox_id, uid, thread_id, createseq, modseq,
             expunged, expunged_at, moved_mail_id, size_bytes, received_at, saved_at)
         SELECT $1, old.tombstone_id, old.mailbox_id, old.uid, m.thread_id, m.createseq, $6, true,
             $7, m.mail_id, m.size_bytes, m.received_at, $7
         FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[])
             AS old (mail_id, tombstone_id, mailbox_id, uid)
         JOIN mails AS m ON m.account_id = $1 AND m.mail_id = old.mail_id",
        journey.account.uuid(),
        &sources,
        &journey.ids(),
        &mailboxes,
        &old_uids,
        journey.modseq,
        journey.now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Copies mails: what they say is shared, everything else is the copy's own.
pub(in crate::mails::change) async fn duplicate(
    conn: &mut PgConnection,
    journey: &Journey<'_>,
) -> Result<()> {
    journey.learn(conn).await?;
    sqlx::query!(
        "INSERT INTO mails (account_id, mail_id, mailbox_id, uid, content_id, thread_id, flags,
             keywords, createseq, modseq, size_bytes, received_at, saved_at)
         SELECT $1, way.copy_id, $5, way.uid, m.content_id, m.thread_id, m.flags,
             ARRAY(SELECT array_position(target.keywords, source.keywords[k])::smallint
                   FROM unnest(m.keywords) AS k ORDER BY 1),
             $6, $6, m.size_bytes, m.received_at, $7
         FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS way (mail_id, copy_id, uid)
         JOIN mails AS m ON m.account_id = $1 AND m.mail_id = way.mail_id
         JOIN mailboxes AS source ON source.account_id = $1 AND source.mailbox_id = m.mailbox_id
         JOIN mailboxes AS target ON target.account_id = $1 AND target.mailbox_id = $5",
        journey.account.uuid(),
        &journey.sources(),
        &journey.ids(),
        &journey.uids(),
        journey.room.mailbox.uuid(),
        journey.modseq,
        journey.now
    )
    .execute(conn)
    .await?;
    Ok(())
}
