//! Making templates and versions of them.

use super::{
    MAX_PER_ACCOUNT, MAX_VERSIONS, NewTemplate, Parts, Shown, Template, Version, check, store,
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, OnConstraint as _, Result},
    id::{self, Id},
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// Makes a template with its first version.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `AlreadyExists`, `PolicyRejected` when the account has too many.
pub async fn create(cx: &Cx, new: NewTemplate) -> Result<Created<Shown>> {
    cx.require(Scope::AccountWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(create_faults(&new))?;
    let now = cx.now();
    let template = Template {
        id: Id::new(now),
        account_id: cx.account(),
        name: new.name,
        description: new.description,
        published_version: new.publish.then_some(1),
        latest_version: 1,
        created_at: now,
        updated_at: now,
    };
    let version =
        Version { template_id: template.id, version: 1, parts: new.parts, created_at: now };
    let mut tx = cx.begin("templates.create").await?;
    if store::lock_and_count(tx.conn(), cx.account()).await? >= MAX_PER_ACCOUNT {
        let detail = format!("an account has at most {MAX_PER_ACCOUNT} templates");
        return Err(Error::PolicyRejected(detail));
    }
    let taken = Error::AlreadyExists("template");
    store::insert(tx.conn(), &template).await.on_constraint("templates_name_key", taken)?;
    store::insert_version(tx.conn(), &version).await?;
    let target = template.id.to_string();
    audit::record(&mut tx, cx, "create_template", Some(cx.account()), &target).await?;
    let shown = Shown { template, version };
    slot.keep(&mut tx, cx, &shown).await?;
    tx.commit().await?;
    Ok(Created::fresh(shown))
}

/// Every fault that [`create`] will find.
pub fn create_faults(new: &NewTemplate) -> Vec<FieldError> {
    let mut faults = Vec::new();
    check::name(&new.name, &mut faults);
    check::description(&new.description, &mut faults);
    check::parts(&new.parts, &mut faults);
    faults
}

/// Makes a new version; with `publish` messages use it from now on.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `NotFound`, `PolicyRejected` when the template has too many.
pub async fn add_version(
    cx: &Cx,
    template: Id<id::Template>,
    parts: Parts,
    publish: bool,
) -> Result<Created<Shown>> {
    cx.require(Scope::AccountWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(version_faults(&parts))?;
    let mut tx = cx.begin("templates.add_version").await?;
    let found = store::lock(tx.conn(), cx.account(), template).await?;
    let mut changed = found.ok_or(Error::NotFound("template"))?;
    if changed.latest_version >= MAX_VERSIONS {
        let detail = format!("a template has at most {MAX_VERSIONS} versions");
        return Err(Error::PolicyRejected(detail));
    }
    changed.latest_version += 1;
    changed.updated_at = cx.now();
    if publish {
        changed.published_version = Some(changed.latest_version);
    }
    let version = Version {
        template_id: template,
        version: changed.latest_version,
        parts,
        created_at: changed.updated_at,
    };
    store::insert_version(tx.conn(), &version).await?;
    store::update(tx.conn(), &changed).await?;
    let target = template.to_string();
    audit::record(&mut tx, cx, "add_template_version", Some(cx.account()), &target).await?;
    let shown = Shown { template: changed, version };
    slot.keep(&mut tx, cx, &shown).await?;
    tx.commit().await?;
    Ok(Created::fresh(shown))
}

/// Every fault that [`add_version`] will find.
pub fn version_faults(parts: &Parts) -> Vec<FieldError> {
    let mut faults = Vec::new();
    check::parts(parts, &mut faults);
    faults
}
