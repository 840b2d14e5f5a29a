//! SQL of domains.

use std::sync::Arc;

use posthouse_mail::address::LocalPartRules;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{DkimKey, Domain, DomainPatch, NewDomain, dkim, records};
use crate::{
    accounts::DomainInfo,
    cx::{Cx, Tx},
    error::{Error, OnConstraint as _, Result},
    id::{self, Id},
    page::{Keyset, fetch_page},
    vault::Vault,
};

/// What the records of a domain depend on, beside the domain.
pub(super) struct Frame<'a> {
    hostname: &'a str,
    now: OffsetDateTime,
}

impl<'a> Frame<'a> {
    pub(super) fn of(cx: &'a Cx) -> Self {
        Self { hostname: &cx.platform().config().hostname, now: cx.now() }
    }
}

struct Row {
    domain_id: Uuid,
    name: String,
    description: String,
    disabled: bool,
    separators: Vec<String>,
    case_sensitive: bool,
    bounce_tokens: bool,
    dkim_canonicalization: String,
    dkim_expires_seconds: i32,
    dkim_oversigned: Option<Vec<String>>,
    dkim_overlap_seconds: i32,
    created_at: OffsetDateTime,
}

impl Row {
    fn into_domain(self, dkim_keys: Vec<DkimKey>, frame: &Frame<'_>) -> Domain {
        Domain {
            id: self.domain_id.into(),
            records: records::of(&self.name, &dkim_keys, frame.hostname, frame.now),
            name: self.name,
            description: self.description,
            disabled: self.disabled,
            separators: self.separators,
            case_sensitive: self.case_sensitive,
            bounce_tokens: self.bounce_tokens,
            dkim: dkim::Settings {
                canonicalization: self.dkim_canonicalization,
                expires_in_seconds: self.dkim_expires_seconds,
                oversigned_headers: self
                    .dkim_oversigned
                    .unwrap_or_else(dkim::settings::usual_fields),
                overlap_seconds: self.dkim_overlap_seconds,
            },
            dkim_keys,
            created_at: self.created_at,
        }
    }
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    id: Id<id::Domain>,
    name: &str,
    new: &NewDomain,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO domains (domain_id, name, description, separators, case_sensitive,
             created_at, updated_at)
         VALUES ($1, $2, $3, coalesce($4, ARRAY['+']), $5, $6, $6)",
        id.uuid(),
        name,
        new.description,
        new.separators.as_deref(),
        new.case_sensitive,
        now
    )
    .execute(conn)
    .await
    .on_constraint("domains_name_key", Error::AlreadyExists("domain"))?;
    Ok(())
}

pub(super) async fn find(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    frame: &Frame<'_>,
) -> Result<Option<Domain>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT domain_id, name, description, disabled, separators, case_sensitive, bounce_tokens,
             dkim_canonicalization, dkim_expires_seconds, dkim_oversigned, dkim_overlap_seconds,
             created_at
         FROM domains WHERE domain_id = $1",
        domain.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let keys = dkim::store::list(conn, domain).await?;
    Ok(Some(row.into_domain(keys, frame)))
}

/// The same; nobody else changes the domain until the end of the transaction.
pub(super) async fn find_locked(
    tx: &mut Tx,
    domain: Id<id::Domain>,
    hostname: &str,
) -> Result<Option<Domain>> {
    lock(tx.conn(), domain).await?;
    let frame = Frame { hostname, now: tx.now() };
    find(tx.conn(), domain, &frame).await
}

/// What a domain that is served here is like, by its name.
pub(crate) struct Served {
    pub id: Uuid,
    pub rules: LocalPartRules,
    disabled: bool,
    bounce_tokens: bool,
    signing: posthouse_mail::dkim::Settings,
}

pub(crate) async fn find_by_name(conn: &mut PgConnection, name: &str) -> Result<Option<Served>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT domain_id, name, description, disabled, separators, case_sensitive, bounce_tokens,
             dkim_canonicalization, dkim_expires_seconds, dkim_oversigned, dkim_overlap_seconds,
             created_at
         FROM domains WHERE name = $1",
        name
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let frame = Frame { hostname: "", now: row.created_at };
    let domain = row.into_domain(Vec::new(), &frame);
    Ok(Some(Served {
        id: domain.id.uuid(),
        rules: domain.rules(),
        disabled: domain.disabled,
        bounce_tokens: domain.bounce_tokens,
        signing: dkim::settings::of_signer(&domain.dkim),
    }))
}

pub(super) async fn list(
    conn: &mut PgConnection,
    keyset: &Keyset,
    frame: &Frame<'_>,
) -> Result<Vec<Domain>> {
    let rows = fetch_page!(
        &mut *conn,
        keyset,
        Row,
        "SELECT domain_id, name, description, disabled, separators, case_sensitive, bounce_tokens,
             dkim_canonicalization, dkim_expires_seconds, dkim_oversigned, dkim_overlap_seconds,
             created_at
         FROM domains WHERE true",
        "domain_id",
    );
    let ids: Vec<Uuid> = rows.iter().map(|row| row.domain_id).collect();
    let mut keys = dkim::store::of_domains(conn, &ids).await?;
    let domain = |row: Row| {
        let keys = keys.remove(&row.domain_id).unwrap_or_default();
        row.into_domain(keys, frame)
    };
    Ok(rows.into_iter().map(domain).collect())
}

/// Nobody else changes the domain until the end of the transaction.
pub(super) async fn lock(conn: &mut PgConnection, domain: Id<id::Domain>) -> Result<()> {
    sqlx::query!("SELECT domain_id FROM domains WHERE domain_id = $1 FOR UPDATE", domain.uuid())
        .fetch_optional(conn)
        .await?;
    Ok(())
}

pub(super) async fn update(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    patch: &DomainPatch,
    now: OffsetDateTime,
) -> Result<bool> {
    let settings = patch.dkim.clone().unwrap_or_default();
    let overlap = "is to be longer than signatures live";
    let overlap = Error::field("/dkim/overlap_seconds", "out_of_range", overlap);
    let done = sqlx::query!(
        "UPDATE domains SET description = coalesce($2, description),
             disabled = coalesce($3, disabled), separators = coalesce($4, separators),
             bounce_tokens = coalesce($5, bounce_tokens),
             dkim_canonicalization = coalesce($6, dkim_canonicalization),
             dkim_expires_seconds = coalesce($7, dkim_expires_seconds),
             dkim_oversigned = CASE WHEN $8::text[] IS NULL THEN dkim_oversigned
                 WHEN cardinality($8) > 0 THEN $8 END,
             dkim_overlap_seconds = coalesce($9, dkim_overlap_seconds), updated_at = $10
         WHERE domain_id = $1",
        domain.uuid(),
        patch.description,
        patch.disabled,
        patch.separators.as_deref(),
        patch.bounce_tokens,
        settings.canonicalization,
        settings.expires_in_seconds,
        settings.oversigned_headers.as_deref(),
        settings.overlap_seconds,
        now
    )
    .execute(conn)
    .await
    .on_constraint("domains_dkim_overlap_check", overlap)?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn has_addresses(conn: &mut PgConnection, domain: Id<id::Domain>) -> Result<bool> {
    let used = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM addresses WHERE domain_id = $1) AS "used!""#,
        domain.uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(used)
}

pub(super) async fn delete(conn: &mut PgConnection, domain: Id<id::Domain>) -> Result<bool> {
    let done = sqlx::query!("DELETE FROM domains WHERE domain_id = $1", domain.uuid())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What the hot path needs of the domain `name`, keys opened.
pub(crate) async fn load_info(
    conn: &mut PgConnection,
    vault: &Vault,
    name: &str,
) -> Result<Option<Arc<DomainInfo>>> {
    let Some(domain) = find_by_name(conn, name).await? else {
        return Ok(None);
    };
    let signers = dkim::store::signers(conn, vault, (domain.id, name)).await?;
    let info = DomainInfo {
        id: domain.id,
        disabled: domain.disabled,
        bounce_tokens: domain.bounce_tokens,
        rules: domain.rules,
        signers,
        signing: domain.signing,
    };
    Ok(Some(Arc::new(info)))
}
