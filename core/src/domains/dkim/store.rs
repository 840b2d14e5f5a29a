//! SQL of DKIM keys.

use std::{collections::HashMap, sync::Arc};

use posthouse_mail::dkim::{Signer, SigningKey};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{DkimKey, KEY_PURPOSE, State, algorithm};
use crate::{
    error::{Error, OnConstraint as _, Result},
    id::{self, Id},
    vault::Vault,
};

/// A key to be stored; the private part is sealed.
pub(in crate::domains) struct NewKey {
    pub selector: String,
    pub algorithm: &'static str,
    pub private_key: Vec<u8>,
    pub public_record: String,
}

/// Stores a key that is in this state from the beginning.
pub(in crate::domains) async fn insert(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    key: &NewKey,
    state: State,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO dkim_keys (domain_id, selector, algorithm, private_key, public_record, state,
             created_at, activated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $6 = 'active' THEN $7::timestamptz END)",
        domain.uuid(),
        key.selector,
        key.algorithm,
        key.private_key,
        key.public_record,
        state.as_str(),
        now
    )
    .execute(conn)
    .await
    .on_constraint("dkim_keys_pkey", Error::AlreadyExists("selector"))?;
    Ok(())
}

/// Keys of these domains by domain, in the order of their selectors.
pub(in crate::domains) async fn of_domains(
    conn: &mut PgConnection,
    domains: &[Uuid],
) -> Result<HashMap<Uuid, Vec<DkimKey>>> {
    let rows = sqlx::query!(
        "SELECT d.domain_id, d.name, selector, algorithm, public_record, state, rotates,
             k.created_at, published_at, activated_at, retired_at, removable_at
         FROM dkim_keys AS k JOIN domains AS d USING (domain_id)
         WHERE d.domain_id = ANY($1) ORDER BY d.domain_id, selector",
        domains
    )
    .fetch_all(conn)
    .await?;
    let mut keys = HashMap::<Uuid, Vec<DkimKey>>::new();
    for row in rows {
        let state = State::parse(&row.state)
            .ok_or_else(|| Error::internal("a DKIM key is in a state that does not exist"))?;
        keys.entry(row.domain_id).or_default().push(DkimKey {
            record_name: format!("{}._domainkey.{}", row.selector, row.name),
            selector: row.selector,
            algorithm: row.algorithm,
            state,
            rotates: row.rotates,
            record: row.public_record,
            created_at: row.created_at,
            published_at: row.published_at,
            activated_at: row.activated_at,
            retired_at: row.retired_at,
            removable_at: row.removable_at,
        });
    }
    Ok(keys)
}

/// Keys of one domain.
pub(in crate::domains) async fn list(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
) -> Result<Vec<DkimKey>> {
    let mut keys = of_domains(conn, &[domain.uuid()]).await?;
    Ok(keys.remove(&domain.uuid()).unwrap_or_default())
}

/// Writes what has become of a key.
pub(super) async fn update(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    key: &DkimKey,
) -> Result<()> {
    sqlx::query!(
        "UPDATE dkim_keys SET state = $3, rotates = $4, published_at = $5, activated_at = $6,
             retired_at = $7, removable_at = $8
         WHERE domain_id = $1 AND selector = $2",
        domain.uuid(),
        key.selector,
        key.state.as_str(),
        key.rotates,
        key.published_at,
        key.activated_at,
        key.retired_at,
        key.removable_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    selector: &str,
) -> Result<()> {
    sqlx::query!(
        "DELETE FROM dkim_keys WHERE domain_id = $1 AND selector = $2",
        domain.uuid(),
        selector
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What signs for a domain, keys opened.
pub(in crate::domains) async fn signers(
    conn: &mut PgConnection,
    vault: &Vault,
    (domain, name): (Uuid, &str),
) -> Result<Vec<Signer>> {
    let keys = sqlx::query!(
        "SELECT selector, algorithm, private_key FROM dkim_keys
         WHERE domain_id = $1 AND state = 'active' ORDER BY selector DESC",
        domain
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
    Ok(signers)
}
