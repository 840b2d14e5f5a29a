//! SQL of templates.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Parts, Shown, Template, Version, VersionSummary, Which};
use crate::{
    error::Result,
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
};

struct Row {
    template_id: Uuid,
    account_id: Uuid,
    name: String,
    description: String,
    published_version: Option<i32>,
    latest_version: i32,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for Template {
    fn from(row: Row) -> Self {
        Self {
            id: row.template_id.into(),
            account_id: row.account_id.into(),
            name: row.name,
            description: row.description,
            published_version: row.published_version,
            latest_version: row.latest_version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// How many templates the account has; nobody else makes one until the end of the transaction.
pub(super) async fn lock_and_count(conn: &mut PgConnection, account: Id<Account>) -> Result<i64> {
    let id = account.uuid();
    sqlx::query!("SELECT account_id FROM accounts WHERE account_id = $1 FOR NO KEY UPDATE", id)
        .fetch_optional(&mut *conn)
        .await?;
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM templates WHERE account_id = $1"#,
        id
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    template: &Template,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO templates (template_id, account_id, name, description, published_version,
             latest_version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        template.id.uuid(),
        template.account_id.uuid(),
        template.name,
        template.description,
        template.published_version,
        template.latest_version,
        template.created_at,
        template.updated_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn insert_version(conn: &mut PgConnection, version: &Version) -> Result<()> {
    sqlx::query!(
        "INSERT INTO template_versions (template_id, version, subject, text, html, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        version.template_id.uuid(),
        version.version,
        version.parts.subject,
        version.parts.text,
        version.parts.html,
        version.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    keyset: &Keyset,
) -> Result<Vec<Template>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT template_id, account_id, name, description, published_version, latest_version,
             created_at, updated_at
         FROM templates WHERE account_id = $3",
        "template_id",
        account.uuid()
    );
    Ok(rows.into_iter().map(Template::from).collect())
}

/// A template with a version; none: the published one, or else the newest.
pub(super) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    template: Id<id::Template>,
    version: Option<i32>,
) -> Result<Option<Shown>> {
    let row = sqlx::query!(
        "SELECT t.template_id, t.account_id, t.name, t.description, t.published_version,
             t.latest_version, t.created_at, t.updated_at, v.version, v.subject, v.text, v.html,
             v.created_at AS version_created_at
         FROM templates AS t JOIN template_versions AS v ON v.template_id = t.template_id
             AND v.version = coalesce($3, t.published_version, t.latest_version)
         WHERE t.account_id = $1 AND t.template_id = $2",
        account.uuid(),
        template.uuid(),
        version
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Shown {
        version: Version {
            template_id: row.template_id.into(),
            version: row.version,
            parts: Parts { subject: row.subject, text: row.text, html: row.html },
            created_at: row.version_created_at,
        },
        template: Template {
            id: row.template_id.into(),
            account_id: row.account_id.into(),
            name: row.name,
            description: row.description,
            published_version: row.published_version,
            latest_version: row.latest_version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        },
    }))
}

/// What templates say: for each that is there, its place among those asked for, and its version;
/// without a version the published one counts.
pub(super) async fn find_many(
    conn: &mut PgConnection,
    account: Id<Account>,
    asked: &[(Which, Option<i32>)],
) -> Result<Vec<(usize, i32, Parts)>> {
    let mut ids = Vec::with_capacity(asked.len());
    let mut names = Vec::with_capacity(asked.len());
    for (which, _) in asked {
        let (id, name) = match which {
            Which::Id(id) => (Some(id.uuid()), None),
            Which::Name(name) => (None, Some(name.as_str())),
        };
        ids.push(id);
        names.push(name);
    }
    let versions: Vec<Option<i32>> = asked.iter().map(|(_, version)| *version).collect();
    let rows = sqlx::query!(
        r#"SELECT asked.at AS "at!", v.version, v.subject, v.text, v.html
         FROM unnest($2::uuid[], $3::text[], $4::integer[]) WITH ORDINALITY
             AS asked (id, name, version, at)
         JOIN templates AS t
             ON t.account_id = $1 AND (t.template_id = asked.id OR t.name = asked.name)
         JOIN template_versions AS v ON v.template_id = t.template_id
             AND v.version = coalesce(asked.version, t.published_version)"#,
        account.uuid(),
        &ids as &[Option<Uuid>],
        &names as &[Option<&str>],
        &versions as &[Option<i32>]
    )
    .fetch_all(conn)
    .await?;
    let found = rows.into_iter().map(|row| {
        let at = usize::try_from(row.at - 1).unwrap_or(usize::MAX);
        (at, row.version, Parts { subject: row.subject, text: row.text, html: row.html })
    });
    Ok(found.collect())
}

pub(super) async fn versions(
    conn: &mut PgConnection,
    account: Id<Account>,
    template: Id<id::Template>,
) -> Result<Vec<VersionSummary>> {
    let rows = sqlx::query_as!(
        VersionSummary,
        r#"SELECT v.version, v.created_at,
             (octet_length(v.subject) + coalesce(octet_length(v.text), 0)
                 + coalesce(octet_length(v.html), 0))::bigint AS "size_bytes!"
         FROM templates AS t JOIN template_versions AS v USING (template_id)
         WHERE t.account_id = $1 AND t.template_id = $2 ORDER BY v.version DESC"#,
        account.uuid(),
        template.uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A template that nobody else changes until the end of the transaction.
pub(super) async fn lock(
    conn: &mut PgConnection,
    account: Id<Account>,
    template: Id<id::Template>,
) -> Result<Option<Template>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT template_id, account_id, name, description, published_version, latest_version,
             created_at, updated_at
         FROM templates WHERE account_id = $1 AND template_id = $2 FOR UPDATE",
        account.uuid(),
        template.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Template::from))
}

pub(super) async fn update(
    conn: &mut PgConnection,
    template: &Template,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE templates SET name = $2, description = $3, published_version = $4,
             latest_version = $5, updated_at = $6
         WHERE template_id = $1",
        template.id.uuid(),
        template.name,
        template.description,
        template.published_version,
        template.latest_version,
        template.updated_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete(
    conn: &mut PgConnection,
    account: Id<Account>,
    template: Id<id::Template>,
) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM templates WHERE account_id = $1 AND template_id = $2",
        account.uuid(),
        template.uuid()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}
