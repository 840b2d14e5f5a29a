//! SQL of mailboxes.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Mailbox;
use crate::{
    cx::Tx,
    error::Result,
    id::{self, Account, Id},
};

/// Mailboxes that every account begins with (I17): name and role.
const INITIAL: [(&str, &str); 6] = [
    ("Inbox", "inbox"),
    ("Sent", "sent"),
    ("Archive", "archive"),
    ("Trash", "trash"),
    ("Drafts", "drafts"),
    ("Junk", "junk"),
];

/// Makes the first mailboxes of an account.
pub(crate) async fn create_initial(
    tx: &mut Tx,
    account: Id<Account>,
    now: OffsetDateTime,
) -> Result<()> {
    let modseq = tx.modseq(account).await?;
    let ids: Vec<Uuid> = INITIAL.iter().map(|_| Id::<id::Mailbox>::new(now).uuid()).collect();
    let names: Vec<&str> = INITIAL.iter().map(|(name, _)| *name).collect();
    let roles: Vec<&str> = INITIAL.iter().map(|(_, role)| *role).collect();
    sqlx::query!(
        "WITH validity AS (
             UPDATE account_counters SET next_uidvalidity = next_uidvalidity + 1
             WHERE account_id = $1 RETURNING next_uidvalidity - 1 AS uidvalidity
         )
         INSERT INTO mailboxes (account_id, mailbox_id, name, role, uidvalidity, createseq, modseq,
             created_at)
         SELECT $1, i, n, r, validity.uidvalidity, $5, $5, $6
         FROM unnest($2::uuid[], $3::text[], $4::text[]) AS new (i, n, r), validity",
        account.uuid(),
        &ids,
        &names as &[&str],
        &roles as &[&str],
        modseq,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<Mailbox>> {
    let rows = sqlx::query!(
        "SELECT mailbox_id, name, parent_id, role, subscribed, uidvalidity, uidnext, modseq, total,
             unseen, unread, size_bytes, created_at
         FROM mailboxes WHERE account_id = $1 AND NOT expunged
         ORDER BY role IS DISTINCT FROM 'inbox', name",
        account.uuid()
    )
    .fetch_all(conn)
    .await?;
    let mailboxes = rows.into_iter().map(|row| Mailbox {
        id: row.mailbox_id.into(),
        name: row.name,
        parent_id: row.parent_id.map(Id::from),
        role: row.role,
        subscribed: row.subscribed,
        uidvalidity: row.uidvalidity,
        uidnext: row.uidnext,
        modseq: row.modseq,
        total: row.total,
        unseen: row.unseen,
        unread: row.unread,
        size_bytes: row.size_bytes,
        created_at: row.created_at,
    });
    Ok(mailboxes.collect())
}

/// A place for a new mail.
pub(crate) struct Slot {
    pub mailbox: Id<id::Mailbox>,
    pub name: String,
    pub uid: i64,
}

/// What a new mail adds to the counts of its mailbox.
pub(crate) struct NewMailCounts {
    pub seen: bool,
    pub size_bytes: i64,
    pub modseq: i64,
}

/// Counts a new mail in the mailbox with this role and gives it a uid. None: there is no such
/// mailbox. The caller holds the lock on the account.
pub(crate) async fn add(
    conn: &mut PgConnection,
    account: Id<Account>,
    role: &str,
    mail: &NewMailCounts,
) -> Result<Option<Slot>> {
    let row = sqlx::query!(
        r#"UPDATE mailboxes SET uidnext = uidnext + 1, modseq = $3, total = total + 1,
             unseen = unseen + $4, unread = unread + $4, size_bytes = size_bytes + $5
         WHERE account_id = $1 AND role = $2 AND NOT expunged
         RETURNING mailbox_id, name, uidnext - 1 AS "uid!""#,
        account.uuid(),
        role,
        mail.modseq,
        i64::from(!mail.seen),
        mail.size_bytes
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Slot { mailbox: row.mailbox_id.into(), name: row.name, uid: row.uid }))
}
