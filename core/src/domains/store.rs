//! SQL of domains and DKIM keys.

use std::sync::Arc;

use posthouse_mail::{
    address::LocalPartRules,
    dkim::{Signer, SigningKey},
};
use serde::Deserialize;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    DkimKey, DnsRecord, Domain, DomainPatch, NewDomain,
    create::{KEY_PURPOSE, algorithm},
};
use crate::{
    accounts::DomainInfo,
    error::{Error, OnConstraint as _, Result},
    id::{self, Id},
    page::{Keyset, fetch_page},
    vault::Vault,
};

/// A key to be stored; the private part is sealed.
pub(super) struct NewKey {
    pub selector: String,
    pub algorithm: &'static str,
    pub private_key: Vec<u8>,
    pub public_record: String,
}

#[derive(Deserialize)]
struct KeyRow {
    selector: String,
    algorithm: String,
    public_record: String,
    active: bool,
}

struct Row {
    domain_id: Uuid,
    name: String,
    description: String,
    disabled: bool,
    separators: Vec<String>,
    case_sensitive: bool,
    bounce_tokens: bool,
    created_at: OffsetDateTime,
    keys: Json<Vec<KeyRow>>,
}

impl Row {
    fn into_domain(self, hostname: &str) -> Domain {
        let mut records = vec![
            record(&self.name, "MX", format!("10 {hostname}.")),
            record(&self.name, "TXT", "v=spf1 mx ~all".to_owned()),
        ];
        records.extend(self.keys.0.iter().map(|key| {
            let name = format!("{}._domainkey.{}", key.selector, self.name);
            record(&name, "TXT", key.public_record.clone())
        }));
        let policy = format!("v=DMARC1; p=reject; rua=mailto:postmaster@{}", self.name);
        records.push(record(&format!("_dmarc.{}", self.name), "TXT", policy));
        let dkim_keys = self.keys.0.into_iter().map(|key| DkimKey {
            selector: key.selector,
            algorithm: key.algorithm,
            active: key.active,
        });
        Domain {
            id: self.domain_id.into(),
            name: self.name,
            description: self.description,
            disabled: self.disabled,
            separators: self.separators,
            case_sensitive: self.case_sensitive,
            bounce_tokens: self.bounce_tokens,
            dkim_keys: dkim_keys.collect(),
            records,
            created_at: self.created_at,
        }
    }
}

fn record(name: &str, kind: &str, value: String) -> DnsRecord {
    DnsRecord { name: name.to_owned(), kind: kind.to_owned(), value }
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

pub(super) async fn insert_keys(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    keys: &[NewKey],
    now: OffsetDateTime,
) -> Result<()> {
    let selectors: Vec<String> = keys.iter().map(|key| key.selector.clone()).collect();
    let algorithms: Vec<String> = keys.iter().map(|key| key.algorithm.to_owned()).collect();
    let privates: Vec<Vec<u8>> = keys.iter().map(|key| key.private_key.clone()).collect();
    let publics: Vec<String> = keys.iter().map(|key| key.public_record.clone()).collect();
    sqlx::query!(
        "INSERT INTO dkim_keys (domain_id, selector, algorithm, private_key, public_record,
             created_at)
         SELECT $1, s, a, p, r, $6
         FROM unnest($2::text[], $3::text[], $4::bytea[], $5::text[]) AS new (s, a, p, r)",
        domain.uuid(),
        &selectors,
        &algorithms,
        &privates,
        &publics,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn find(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    hostname: &str,
) -> Result<Option<Domain>> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT domain_id, name, description, disabled, separators, case_sensitive,
             bounce_tokens, created_at,
             (SELECT coalesce(json_agg(json_build_object('selector', k.selector, 'algorithm',
                  k.algorithm, 'public_record', k.public_record, 'active', k.active)
                  ORDER BY k.selector), '[]')
              FROM dkim_keys AS k WHERE k.domain_id = domains.domain_id) AS "keys!: Json<Vec<KeyRow>>"
         FROM domains WHERE domain_id = $1"#,
        domain.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.into_domain(hostname)))
}

pub(crate) async fn find_by_name(conn: &mut PgConnection, name: &str) -> Result<Option<Domain>> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT domain_id, name, description, disabled, separators, case_sensitive,
             bounce_tokens, created_at, '[]'::json AS "keys!: Json<Vec<KeyRow>>"
         FROM domains WHERE name = $1"#,
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.into_domain("")))
}

pub(super) async fn list(
    conn: &mut PgConnection,
    keyset: &Keyset,
    hostname: &str,
) -> Result<Vec<Domain>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        r#"SELECT domain_id, name, description, disabled, separators, case_sensitive,
             bounce_tokens, created_at,
             (SELECT coalesce(json_agg(json_build_object('selector', k.selector, 'algorithm',
                  k.algorithm, 'public_record', k.public_record, 'active', k.active)
                  ORDER BY k.selector), '[]')
              FROM dkim_keys AS k WHERE k.domain_id = domains.domain_id) AS "keys!: Json<Vec<KeyRow>>"
         FROM domains WHERE true"#,
        "domain_id",
    );
    Ok(rows.into_iter().map(|row| row.into_domain(hostname)).collect())
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
    let done = sqlx::query!(
        "UPDATE domains SET description = coalesce($2, description),
             disabled = coalesce($3, disabled), separators = coalesce($4, separators),
             bounce_tokens = coalesce($5, bounce_tokens), updated_at = $6
         WHERE domain_id = $1",
        domain.uuid(),
        patch.description,
        patch.disabled,
        patch.separators.as_deref(),
        patch.bounce_tokens,
        now
    )
    .execute(conn)
    .await?;
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
    let keys = sqlx::query!(
        "SELECT selector, algorithm, private_key FROM dkim_keys
         WHERE domain_id = $1 AND active ORDER BY selector DESC",
        domain.id.uuid()
    )
    .fetch_all(conn)
    .await?;
    let mut signers = Vec::with_capacity(keys.len());
    for key in keys {
        let pkcs8 = vault.open(KEY_PURPOSE, &key.private_key)?;
        let Some(algorithm) = algorithm(&key.algorithm) else {
            continue;
        };
        let parsed = SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(Error::internal)?;
        signers.push(Signer {
            domain: name.to_owned(),
            selector: key.selector,
            key: Arc::new(parsed),
        });
    }
    let rules =
        LocalPartRules { separators: domain.separators, case_sensitive: domain.case_sensitive };
    let info = DomainInfo {
        id: domain.id.uuid(),
        disabled: domain.disabled,
        bounce_tokens: domain.bounce_tokens,
        rules,
        signers,
    };
    Ok(Some(Arc::new(info)))
}
