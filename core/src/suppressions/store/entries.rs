//! SQL of the suppression list as its owner sees it.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
    suppressions::{Filter, Reason, Suppression},
};

struct Row {
    suppression_id: Uuid,
    account_id: Uuid,
    address: String,
    base_address: String,
    topic: String,
    reason: String,
    detail: String,
    delivery_id: Option<Uuid>,
    expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Suppression {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.suppression_id.into(),
            account_id: row.account_id.into(),
            address: row.address,
            base_address: row.base_address,
            topic: Some(row.topic).filter(|topic| !topic.is_empty()),
            reason: row.reason.parse().map_err(Error::internal)?,
            detail: row.detail,
            delivery_id: row.delivery_id.map(Id::from),
            expires_at: row.expires_at,
            created_at: row.created_at,
        })
    }
}

fn all(rows: Vec<Row>) -> Result<Vec<Suppression>> {
    rows.into_iter().map(Suppression::try_from).collect()
}

/// Which part of the list is read.
pub(in crate::suppressions) struct Range {
    forward: bool,
    bound: Uuid,
    fetch: i64,
}

impl Range {
    /// The first entries after `after`, newest first.
    pub(in crate::suppressions) fn after(after: Option<Id<id::Suppression>>, most: usize) -> Self {
        let fetch = i64::try_from(most).unwrap_or(i64::MAX);
        Self { forward: true, bound: after.map_or(Uuid::max(), Id::uuid), fetch }
    }

    const fn fetch(&self) -> i64 {
        self.fetch
    }
}

impl From<&Keyset> for Range {
    fn from(keyset: &Keyset) -> Self {
        Self { forward: keyset.forward, bound: keyset.bound, fetch: keyset.fetch() }
    }
}

/// Entries of `account`; `base` is that of the filter's address.
pub(in crate::suppressions) async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    filter: &Filter,
    base: Option<&str>,
    range: &Range,
) -> Result<Vec<Suppression>> {
    let bound = |at| Id::<id::Suppression>::lower_bound(at).uuid();
    let (since, until) = (filter.since.map(bound), filter.until.map(bound));
    all(fetch_page!(
        conn,
        range,
        Row,
        "SELECT suppression_id, account_id, address, base_address, topic, reason, detail,
             delivery_id, expires_at, created_at
         FROM suppressions WHERE account_id = $3
           AND ($4::text IS NULL OR base_address = $4)
           AND ($5::text IS NULL OR domain = $5)
           AND ($6::text IS NULL OR reason = $6)
           AND ($7::text IS NULL OR topic = $7)
           AND ($8::uuid IS NULL OR suppression_id >= $8)
           AND ($9::uuid IS NULL OR suppression_id < $9)",
        "suppression_id",
        account.uuid(),
        base,
        filter.domain,
        filter.reason.map(Reason::as_str),
        filter.topic,
        since as Option<Uuid>,
        until as Option<Uuid>,
    ))
}

pub(in crate::suppressions) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    suppression: Id<id::Suppression>,
) -> Result<Option<Suppression>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT suppression_id, account_id, address, base_address, topic, reason, detail,
             delivery_id, expires_at, created_at
         FROM suppressions WHERE suppression_id = $1 AND account_id = $2",
        suppression.uuid(),
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Suppression::try_from).transpose()
}

/// Entries of these recipients that suppress at `now`, of whatever topic.
pub(in crate::suppressions) async fn of_recipients(
    conn: &mut PgConnection,
    account: Id<Account>,
    bases: &[&str],
    now: OffsetDateTime,
) -> Result<Vec<Suppression>> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT suppression_id, account_id, address, base_address, topic, reason, detail,
             delivery_id, expires_at, created_at
         FROM suppressions WHERE account_id = $1 AND base_address = ANY($2)
           AND (expires_at IS NULL OR expires_at > $3)
         ORDER BY suppression_id",
        account.uuid(),
        bases as &[&str],
        now
    )
    .fetch_all(conn)
    .await?;
    all(rows)
}

pub(in crate::suppressions) async fn delete(
    conn: &mut PgConnection,
    account: Id<Account>,
    suppression: Id<id::Suppression>,
) -> Result<Option<Suppression>> {
    let row = sqlx::query_as!(
        Row,
        "DELETE FROM suppressions WHERE suppression_id = $1 AND account_id = $2
         RETURNING suppression_id, account_id, address, base_address, topic, reason, detail,
             delivery_id, expires_at, created_at",
        suppression.uuid(),
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Suppression::try_from).transpose()
}

/// Deletes the entries of recipients and topics; gives those that were there.
pub(in crate::suppressions) async fn delete_many(
    conn: &mut PgConnection,
    account: Id<Account>,
    bases: &[&str],
    topics: &[&str],
) -> Result<Vec<Suppression>> {
    // In the order in which entries are written, so that nobody waits in a circle.
    let rows = sqlx::query_as!(
        Row,
        "WITH gone AS (
             SELECT s.suppression_id FROM suppressions AS s
             JOIN (SELECT DISTINCT b, t FROM unnest($2::text[], $3::text[]) AS asked (b, t)) AS a
                 ON a.b = s.base_address AND a.t = s.topic
             WHERE s.account_id = $1
             ORDER BY s.base_address, s.topic FOR UPDATE OF s
         )
         DELETE FROM suppressions AS s USING gone WHERE s.suppression_id = gone.suppression_id
         RETURNING s.suppression_id, s.account_id, s.address, s.base_address, s.topic, s.reason,
             s.detail, s.delivery_id, s.expires_at, s.created_at",
        account.uuid(),
        bases as &[&str],
        topics as &[&str]
    )
    .fetch_all(conn)
    .await?;
    all(rows)
}

/// What is to be kept of recipients that were on the list: nothing that would put them back at once.
pub(in crate::suppressions) async fn forget_failures(
    conn: &mut PgConnection,
    account: Id<Account>,
    addresses: &[&str],
) -> Result<()> {
    sqlx::query!(
        "DELETE FROM recent_failures WHERE account_id = $1 AND recipient = ANY($2)",
        account.uuid(),
        addresses as &[&str]
    )
    .execute(conn)
    .await?;
    Ok(())
}
