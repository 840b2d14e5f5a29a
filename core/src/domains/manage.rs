//! Looking at, changing and giving up domains.

use super::{
    Domain, DomainPatch,
    create::separator_faults,
    dkim,
    store::{self, Frame},
};
use crate::{
    audit,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Id},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
    text,
};

/// All domains, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<Domain>> {
    cx.require(Scope::AdminRead)?;
    let keyset = Keyset::new(cx, "domains", request)?;
    let mut conn = cx.platform().acquire().await?;
    let domains = store::list(&mut conn, &keyset, &Frame::of(cx)).await?;
    Ok(keyset.page(cx, domains, |domain| domain.id.uuid()))
}

/// One domain.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, domain: Id<id::Domain>) -> Result<Domain> {
    cx.require(Scope::AdminRead)?;
    load(cx, domain).await
}

/// The same for operations that have asked for their own scope.
pub(super) async fn load(cx: &Cx, domain: Id<id::Domain>) -> Result<Domain> {
    let mut conn = cx.platform().acquire().await?;
    let found = store::find(&mut conn, domain, &Frame::of(cx)).await?;
    found.ok_or(Error::NotFound("domain"))
}

/// Changes a domain.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`.
pub async fn update(cx: &Cx, domain: Id<id::Domain>, patch: DomainPatch) -> Result<Domain> {
    cx.require(Scope::AdminWrite)?;
    Error::unless_empty(update_faults(&patch))?;
    let mut tx = cx.begin("domains.update").await?;
    require_version(&mut tx, cx, domain).await?;
    if !store::update(tx.conn(), domain, &patch, cx.now()).await? {
        return Err(Error::NotFound("domain"));
    }
    let found = store::find(tx.conn(), domain, &Frame::of(cx)).await?;
    let found = found.ok_or(Error::NotFound("domain"))?;
    audit::record(&mut tx, cx, "update_domain", None, &found.name).await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(found)
}

/// Switches a domain off for now (I5): it takes no mail and sends none; what waits goes on waiting.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn disable(cx: &Cx, domain: Id<id::Domain>) -> Result<Domain> {
    let patch = DomainPatch { disabled: Some(true), ..DomainPatch::default() };
    update(cx, domain, patch).await
}

/// Switches a domain on again.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn enable(cx: &Cx, domain: Id<id::Domain>) -> Result<Domain> {
    let patch = DomainPatch { disabled: Some(false), ..DomainPatch::default() };
    update(cx, domain, patch).await
}

/// Refuses to change a domain that has changed since the caller saw it.
async fn require_version(tx: &mut Tx, cx: &Cx, domain: Id<id::Domain>) -> Result<()> {
    if !cx.is_conditional() {
        return Ok(());
    }
    store::lock(tx.conn(), domain).await?;
    let found = store::find(tx.conn(), domain, &Frame::of(cx)).await?;
    cx.require_version(&found.ok_or(Error::NotFound("domain"))?)
}

/// Every fault that [`update`] will find.
pub fn update_faults(patch: &DomainPatch) -> Vec<FieldError> {
    let mut faults = patch.separators.as_deref().map(separator_faults).unwrap_or_default();
    let description = patch.description.as_deref();
    let fault = |description| text::fault("/description", "invalid_description", description);
    faults.extend(description.and_then(fault));
    faults.extend(patch.dkim.as_ref().map(dkim::settings::faults).unwrap_or_default());
    faults
}

/// Gives up a domain that no address is in.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse`.
pub async fn delete(cx: &Cx, domain: Id<id::Domain>) -> Result<()> {
    cx.require(Scope::AdminWrite)?;
    let mut tx = cx.begin("domains.delete").await?;
    require_version(&mut tx, cx, domain).await?;
    if store::has_addresses(tx.conn(), domain).await? {
        let detail = "accounts still have addresses in this domain: remove them first";
        return Err(Error::InUse(detail.to_owned()));
    }
    if !store::delete(tx.conn(), domain).await? {
        return Err(Error::NotFound("domain"));
    }
    audit::record(&mut tx, cx, "delete_domain", None, &domain.to_string()).await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(())
}
