//! SQL of changing mail. The caller holds the lock on the account, so what is read here stays true
//! until the end of the transaction.

mod journey;

pub(in crate::mails::change) use journey::{Journey, Room, Way, duplicate, relocate, take_uids};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{super::NewMail, Counts, Deltas, MailState, Marks, Placed, flag_names};
use crate::{
    error::{Error, Result},
    id::{self, Account, Id, Mailbox, Thread},
};

/// Most keywords of one mailbox: they never go (K17).
const MAX_KEYWORDS: i32 = 1000;

/// A mail that is to be changed.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub mail: Id<id::Mail>,
    pub mailbox: Id<Mailbox>,
    pub mailbox_name: String,
    pub is_trash: bool,
    pub uid: i64,
    pub modseq: i64,
    pub flags: i32,
    pub size_bytes: i64,
    pub thread: Id<Thread>,
}

impl Found {
    /// Where it is before it is changed.
    pub(in crate::mails::change) const fn placed(&self) -> Placed {
        Placed { mail: self.mail, mailbox: self.mailbox, uid: self.uid }
    }
}

/// The mails of the account with these ids that are there, by mailbox and uid.
pub(in crate::mails::change) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    mails: &[Uuid],
) -> Result<Vec<Found>> {
    let rows = sqlx::query!(
        r#"SELECT m.mail_id, m.mailbox_id, b.name, b.role IS NOT DISTINCT FROM 'trash' AS "is_trash!",
             m.uid, m.modseq, m.flags, m.size_bytes, m.thread_id
         FROM mails AS m
         JOIN mailboxes AS b ON b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id
         WHERE m.account_id = $1 AND m.mail_id = ANY($2) AND NOT m.expunged
         ORDER BY m.mailbox_id, m.uid"#,
        account.uuid(),
        mails
    )
    .fetch_all(conn)
    .await?;
    let found = rows.into_iter().map(|row| Found {
        mail: row.mail_id.into(),
        mailbox: row.mailbox_id.into(),
        mailbox_name: row.name,
        is_trash: row.is_trash,
        uid: row.uid,
        modseq: row.modseq,
        flags: row.flags,
        size_bytes: row.size_bytes,
        thread: row.thread_id.into(),
    });
    Ok(found.collect())
}

/// Some mails of a mailbox, by uid.
pub(in crate::mails::change) async fn ids_in_mailbox(
    conn: &mut PgConnection,
    account: Id<Account>,
    mailbox: Id<Mailbox>,
    limit: i64,
) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "SELECT mail_id FROM mails
         WHERE account_id = $1 AND mailbox_id = $2 AND NOT expunged ORDER BY uid LIMIT $3",
        account.uuid(),
        mailbox.uuid(),
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The mailbox with this role.
pub(in crate::mails::change) async fn find_role(
    conn: &mut PgConnection,
    account: Id<Account>,
    role: &str,
) -> Result<Option<Id<Mailbox>>> {
    let mailbox = sqlx::query_scalar!(
        "SELECT mailbox_id FROM mailboxes WHERE account_id = $1 AND role = $2 AND NOT expunged",
        account.uuid(),
        role
    )
    .fetch_optional(conn)
    .await?;
    Ok(mailbox.map(Id::from))
}

/// Adds keywords that they lack to the dictionaries of mailboxes.
///
/// # Errors
/// `PolicyRejected` when there are too many then.
pub(crate) async fn learn_keywords(
    conn: &mut PgConnection,
    account: Id<Account>,
    mailboxes: &[Uuid],
    keywords: &[String],
) -> Result<()> {
    if keywords.is_empty() {
        return Ok(());
    }
    let sizes = sqlx::query_scalar!(
        r#"UPDATE mailboxes AS b SET keywords = b.keywords || missing.names
         FROM (SELECT known.mailbox_id, array_agg(new.name ORDER BY new.number) AS names
               FROM mailboxes AS known,
                 unnest($3::text[]) WITH ORDINALITY AS new (name, number)
               WHERE known.account_id = $1 AND known.mailbox_id = ANY($2)
                 AND NOT new.name = ANY(known.keywords)
               GROUP BY known.mailbox_id) AS missing
         WHERE b.account_id = $1 AND b.mailbox_id = missing.mailbox_id
         RETURNING cardinality(b.keywords) AS "size!""#,
        account.uuid(),
        mailboxes,
        keywords
    )
    .fetch_all(conn)
    .await?;
    if sizes.into_iter().any(|size| size > MAX_KEYWORDS) {
        let detail = format!("a mailbox has at most {MAX_KEYWORDS} keywords, used ones and others");
        return Err(Error::PolicyRejected(detail));
    }
    Ok(())
}

/// A mail whose flags or keywords are others now.
pub(in crate::mails::change) struct Marked {
    pub mail: Uuid,
    pub flags: i32,
}

/// Changes flags and keywords; gives back the mails for which that made a difference. The
/// dictionaries know all keywords to add.
pub(in crate::mails::change) async fn mark(
    conn: &mut PgConnection,
    account: Id<Account>,
    mails: &[Uuid],
    marks: &Marks,
    modseq: i64,
) -> Result<Vec<Marked>> {
    let rows = sqlx::query_as!(
        Marked,
        r#"WITH target AS (
             SELECT m.mail_id, (m.flags & $3) | $4 AS flags, ARRAY(
                 SELECT entry.position::smallint
                 FROM unnest(b.keywords) WITH ORDINALITY AS entry (name, position)
                 WHERE entry.name = ANY($7)
                   OR ($5 AND entry.position = ANY(m.keywords) AND NOT entry.name = ANY($6))
                 ORDER BY entry.position) AS keywords
             FROM mails AS m
             JOIN mailboxes AS b ON b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id
             WHERE m.account_id = $1 AND m.mail_id = ANY($2) AND NOT m.expunged
         )
         UPDATE mails AS m SET flags = target.flags, keywords = target.keywords, modseq = $8
         FROM target
         WHERE m.account_id = $1 AND m.mail_id = target.mail_id
           AND (m.flags <> target.flags OR m.keywords <> target.keywords)
         RETURNING m.mail_id AS mail, m.flags"#,
        account.uuid(),
        mails,
        marks.keep_flags,
        marks.add_flags,
        marks.keep_keywords,
        &marks.remove_keywords,
        &marks.add_keywords,
        modseq
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Makes tombstones of mails (L4). What they said is erased later.
pub(in crate::mails::change) async fn expunge(
    conn: &mut PgConnection,
    account: Id<Account>,
    mails: &[Uuid],
    modseq: i64,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE mails SET expunged = true, expunged_at = $4, modseq = $3, flags = 0, keywords = '{}'
         WHERE account_id = $1 AND mail_id = ANY($2) AND NOT expunged",
        account.uuid(),
        mails,
        modseq,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds to the counts of mailboxes.
pub(in crate::mails::change) async fn count(
    conn: &mut PgConnection,
    account: Id<Account>,
    deltas: &Deltas,
    modseq: i64,
) -> Result<()> {
    let column = |value: fn(&Counts) -> i64| deltas.0.values().map(value).collect();
    let mailboxes: Vec<Uuid> = deltas.0.keys().map(|mailbox| mailbox.uuid()).collect();
    let total: Vec<i64> = column(|counts| counts.total);
    let deleted: Vec<i64> = column(|counts| counts.deleted);
    let unseen: Vec<i64> = column(|counts| counts.unseen);
    let unread: Vec<i64> = column(|counts| counts.unread);
    let sizes: Vec<i64> = column(|counts| counts.size_bytes);
    sqlx::query!(
        "UPDATE mailboxes AS b SET modseq = $8, total = b.total + new.total,
             deleted = b.deleted + new.deleted, unseen = b.unseen + new.unseen,
             unread = b.unread + new.unread, size_bytes = b.size_bytes + new.size_bytes
         FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
             $7::bigint[]) AS new (mailbox_id, total, deleted, unseen, unread, size_bytes)
         WHERE b.account_id = $1 AND b.mailbox_id = new.mailbox_id",
        account.uuid(),
        &mailboxes,
        &total,
        &deleted,
        &unseen,
        &unread,
        &sizes,
        modseq
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A mail as it is now, without what it says.
pub(in crate::mails::change) struct StateRow {
    mail_id: Uuid,
    mailbox_id: Uuid,
    mailbox_name: String,
    uid: i64,
    modseq: i64,
    thread_id: Uuid,
    flags: i32,
    keywords: Vec<String>,
}

impl From<StateRow> for MailState {
    fn from(row: StateRow) -> Self {
        Self {
            id: row.mail_id.into(),
            mailbox_id: row.mailbox_id.into(),
            mailbox_name: row.mailbox_name,
            uid: row.uid,
            modseq: row.modseq,
            thread_id: row.thread_id.into(),
            flags: flag_names(row.flags),
            keywords: row.keywords,
        }
    }
}

/// How mails are now.
pub(in crate::mails::change) async fn states(
    conn: &mut PgConnection,
    account: Id<Account>,
    mails: &[Uuid],
) -> Result<Vec<MailState>> {
    let rows = sqlx::query_as!(
        StateRow,
        r#"SELECT m.mail_id, m.mailbox_id, b.name AS mailbox_name, m.uid, m.modseq, m.thread_id,
             m.flags, ARRAY(SELECT b.keywords[k] FROM unnest(m.keywords) AS k) AS "keywords!"
         FROM mails AS m
         JOIN mailboxes AS b ON b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id
         WHERE m.account_id = $1 AND m.mail_id = ANY($2) AND NOT m.expunged
         ORDER BY m.mailbox_id, m.uid"#,
        account.uuid(),
        mails
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// What a copy says, as far as its event tells it.
pub(in crate::mails::change) struct CopyRow {
    pub mail_id: Uuid,
    pub mailbox_id: Uuid,
    pub mailbox_name: String,
    pub thread_id: Uuid,
    pub envelope: Value,
    pub internet_message_id: Option<String>,
    pub attachments: Value,
    pub size_bytes: i64,
    pub list: bool,
    pub automated: bool,
    pub dsn: bool,
    pub refers_to: Option<Uuid>,
}

/// What copies say.
pub(in crate::mails::change) async fn copies(
    conn: &mut PgConnection,
    account: Id<Account>,
    mails: &[Uuid],
) -> Result<Vec<CopyRow>> {
    let rows = sqlx::query_as!(
        CopyRow,
        "SELECT m.mail_id, m.mailbox_id, b.name AS mailbox_name, m.thread_id, c.envelope,
             c.internet_message_id, c.attachments, m.size_bytes, c.list, c.automated, c.dsn,
             c.refers_to
         FROM mails AS m
         JOIN mailboxes AS b ON b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id
         JOIN mail_contents AS c ON c.account_id = m.account_id AND c.content_id = m.content_id
         WHERE m.account_id = $1 AND m.mail_id = ANY($2) ORDER BY m.uid",
        account.uuid(),
        mails
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Where and how a new mail is put.
pub(in crate::mails::change) struct NewRow<'a> {
    pub room: Room,
    pub thread: Id<Thread>,
    pub flags: i32,
    /// Names that the dictionary of the mailbox has.
    pub keywords: &'a [String],
    pub received_at: OffsetDateTime,
    pub modseq: i64,
}

/// Puts a new mail into a mailbox.
pub(in crate::mails::change) async fn insert(
    conn: &mut PgConnection,
    mail: &NewMail,
    row: &NewRow<'_>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO mails (account_id, mail_id, mailbox_id, uid, content_id, thread_id, flags,
             keywords, createseq, modseq, size_bytes, received_at, saved_at)
         SELECT $1, $2, $3, $4, $5, $6, $7,
             ARRAY(SELECT array_position(b.keywords, name)::smallint
                   FROM unnest($8::text[]) AS name ORDER BY 1),
             $9, $9, $10, $11, $12
         FROM mailboxes AS b WHERE b.account_id = $1 AND b.mailbox_id = $3",
        mail.account.uuid(),
        mail.id.uuid(),
        row.room.mailbox.uuid(),
        row.room.first_uid,
        mail.content_id.uuid(),
        row.thread.uuid(),
        row.flags,
        row.keywords,
        row.modseq,
        mail.size,
        row.received_at,
        mail.received_at
    )
    .execute(conn)
    .await?;
    Ok(())
}
