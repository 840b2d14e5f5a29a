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

struct Row {
    mailbox_id: Uuid,
    name: String,
    parent_id: Option<Uuid>,
    role: Option<String>,
    subscribed: bool,
    uidvalidity: i64,
    uidnext: i64,
    modseq: i64,
    total: i64,
    deleted: i64,
    unseen: i64,
    unread: i64,
    size_bytes: i64,
    keywords: Vec<String>,
    created_at: OffsetDateTime,
}

impl From<Row> for Mailbox {
    fn from(row: Row) -> Self {
        Self {
            id: row.mailbox_id.into(),
            name: row.name,
            parent_id: row.parent_id.map(Id::from),
            role: row.role,
            subscribed: row.subscribed,
            uidvalidity: row.uidvalidity,
            uidnext: row.uidnext,
            modseq: row.modseq,
            total: row.total,
            deleted: row.deleted,
            unseen: row.unseen,
            unread: row.unread,
            size_bytes: row.size_bytes,
            keywords: row.keywords,
            created_at: row.created_at,
        }
    }
}

pub(super) async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<Mailbox>> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT mailbox_id, name, parent_id, role, subscribed, uidvalidity, uidnext, modseq, total,
             deleted, unseen, unread, size_bytes, keywords, created_at
         FROM mailboxes WHERE account_id = $1 AND NOT expunged
         ORDER BY role IS DISTINCT FROM 'inbox', name",
        account.uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Mailbox::from).collect())
}

pub(super) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    mailbox: Id<id::Mailbox>,
) -> Result<Option<Mailbox>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT mailbox_id, name, parent_id, role, subscribed, uidvalidity, uidnext, modseq, total,
             deleted, unseen, unread, size_bytes, keywords, created_at
         FROM mailboxes WHERE account_id = $1 AND mailbox_id = $2 AND NOT expunged",
        account.uuid(),
        mailbox.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Mailbox::from))
}

/// The full name of a mailbox.
pub(crate) async fn find_name(
    conn: &mut PgConnection,
    account: Id<Account>,
    mailbox: Id<id::Mailbox>,
) -> Result<Option<String>> {
    let name = sqlx::query_scalar!(
        "SELECT name FROM mailboxes WHERE account_id = $1 AND mailbox_id = $2 AND NOT expunged",
        account.uuid(),
        mailbox.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(name)
}

/// Which of these names are taken, and by what.
pub(super) async fn find_names(
    conn: &mut PgConnection,
    account: Id<Account>,
    names: &[&str],
) -> Result<Vec<(String, Id<id::Mailbox>)>> {
    let rows = sqlx::query!(
        "SELECT name, mailbox_id FROM mailboxes
         WHERE account_id = $1 AND name = ANY($2) AND NOT expunged",
        account.uuid(),
        names as &[&str]
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.mailbox_id.into())).collect())
}

/// How many mailboxes the account has.
pub(super) async fn number(conn: &mut PgConnection, account: Id<Account>) -> Result<i64> {
    let number = sqlx::query_scalar!(
        r#"SELECT count(*) AS "number!" FROM mailboxes WHERE account_id = $1 AND NOT expunged"#,
        account.uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(number)
}

/// A mailbox to be written.
pub(super) struct NewRow {
    pub id: Id<id::Mailbox>,
    pub name: String,
    pub parent: Option<Id<id::Mailbox>>,
    pub subscribed: bool,
}

/// Writes mailboxes, each with a uidvalidity that none had before.
pub(super) async fn insert(
    conn: &mut PgConnection,
    account: Id<Account>,
    new: &[NewRow],
    modseq: i64,
    now: OffsetDateTime,
) -> Result<()> {
    let ids: Vec<Uuid> = new.iter().map(|row| row.id.uuid()).collect();
    let names: Vec<&str> = new.iter().map(|row| row.name.as_str()).collect();
    let parents: Vec<Option<Uuid>> = new.iter().map(|row| row.parent.map(Id::uuid)).collect();
    let subscribed: Vec<bool> = new.iter().map(|row| row.subscribed).collect();
    sqlx::query!(
        "WITH validity AS (
             UPDATE account_counters
             SET next_uidvalidity = next_uidvalidity + cardinality($2::uuid[])
             WHERE account_id = $1
             RETURNING next_uidvalidity - cardinality($2::uuid[]) - 1 AS before
         )
         INSERT INTO mailboxes (account_id, mailbox_id, name, parent_id, subscribed, uidvalidity,
             createseq, modseq, created_at)
         SELECT $1, i, n, p, s, validity.before + number, $6, $6, $7
         FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::boolean[])
             WITH ORDINALITY AS new (i, n, p, s, number), validity",
        account.uuid(),
        &ids,
        &names as &[&str],
        &parents as &[Option<Uuid>],
        &subscribed,
        modseq,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes a role from the mailbox that has it.
pub(super) async fn clear_role(
    conn: &mut PgConnection,
    account: Id<Account>,
    role: &str,
    modseq: i64,
) -> Result<()> {
    sqlx::query!(
        "UPDATE mailboxes SET role = NULL, modseq = $3
         WHERE account_id = $1 AND role = $2 AND NOT expunged",
        account.uuid(),
        role,
        modseq
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes role and subscription.
pub(super) async fn update(
    conn: &mut PgConnection,
    account: Id<Account>,
    mailbox: &Mailbox,
    modseq: i64,
) -> Result<()> {
    sqlx::query!(
        "UPDATE mailboxes SET role = $3, subscribed = $4, modseq = $5
         WHERE account_id = $1 AND mailbox_id = $2",
        account.uuid(),
        mailbox.id.uuid(),
        mailbox.role,
        mailbox.subscribed,
        modseq
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ids and names of all mailboxes below `name`.
pub(super) async fn below(
    conn: &mut PgConnection,
    account: Id<Account>,
    name: &str,
) -> Result<Vec<(Id<id::Mailbox>, String)>> {
    let rows = sqlx::query!(
        "SELECT mailbox_id, name FROM mailboxes
         WHERE account_id = $1 AND NOT expunged AND starts_with(name, $2 || '/')",
        account.uuid(),
        name
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.mailbox_id.into(), row.name)).collect())
}

/// Gives mailboxes other names, and the first of them another parent.
pub(super) async fn rename(
    conn: &mut PgConnection,
    account: Id<Account>,
    renamed: &[(Id<id::Mailbox>, String)],
    parent: Option<Id<id::Mailbox>>,
    modseq: i64,
) -> Result<()> {
    let ids: Vec<Uuid> = renamed.iter().map(|(mailbox, _)| mailbox.uuid()).collect();
    let names: Vec<&str> = renamed.iter().map(|(_, name)| name.as_str()).collect();
    sqlx::query!(
        "UPDATE mailboxes AS b SET name = new.name, modseq = $5,
             parent_id = CASE WHEN new.number = 1 THEN $4 ELSE b.parent_id END
         FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS new (mailbox_id, name, number)
         WHERE b.account_id = $1 AND b.mailbox_id = new.mailbox_id",
        account.uuid(),
        &ids,
        &names as &[&str],
        parent.map(Id::uuid) as Option<Uuid>,
        modseq
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a tombstone of an empty mailbox.
pub(super) async fn expunge(
    conn: &mut PgConnection,
    account: Id<Account>,
    mailbox: Id<id::Mailbox>,
    modseq: i64,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE mailboxes SET expunged = true, expunged_at = $4, modseq = $3
         WHERE account_id = $1 AND mailbox_id = $2",
        account.uuid(),
        mailbox.uuid(),
        modseq,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
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

/// The same in a certain mailbox.
pub(crate) async fn add_to(
    conn: &mut PgConnection,
    account: Id<Account>,
    mailbox: Id<id::Mailbox>,
    mail: &NewMailCounts,
) -> Result<Option<Slot>> {
    let row = sqlx::query!(
        r#"UPDATE mailboxes SET uidnext = uidnext + 1, modseq = $3, total = total + 1,
             unseen = unseen + $4, unread = unread + $4, size_bytes = size_bytes + $5
         WHERE account_id = $1 AND mailbox_id = $2 AND NOT expunged
         RETURNING mailbox_id, name, uidnext - 1 AS "uid!""#,
        account.uuid(),
        mailbox.uuid(),
        mail.modseq,
        i64::from(!mail.seen),
        mail.size_bytes
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Slot { mailbox: row.mailbox_id.into(), name: row.name, uid: row.uid }))
}
