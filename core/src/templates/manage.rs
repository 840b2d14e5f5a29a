//! Looking at, changing, publishing and deleting templates.

use super::{Shown, Template, TemplatePatch, VersionSummary, check, store};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, OnConstraint as _, Result},
    id::{self, Id},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

const NOT_FOUND: Error = Error::NotFound("template");

/// Templates of the account, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<Template>> {
    cx.require(Scope::AccountRead)?;
    let keyset = Keyset::new(cx, "templates", request)?;
    let mut conn = cx.platform().acquire().await?;
    let rows = store::list(&mut conn, cx.account(), &keyset).await?;
    Ok(keyset.page(cx, rows, |template| template.id.uuid()))
}

/// One template with one of its versions; none: the published one, or else the newest.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, template: Id<id::Template>, version: Option<i32>) -> Result<Shown> {
    cx.require(Scope::AccountRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::find(&mut conn, cx.account(), template, version).await?.ok_or(NOT_FOUND)
}

/// All versions of a template, newest first.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn versions(cx: &Cx, template: Id<id::Template>) -> Result<Vec<VersionSummary>> {
    cx.require(Scope::AccountRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::versions(&mut conn, cx.account(), template).await?;
    // A template always has one.
    if found.is_empty() { Err(NOT_FOUND) } else { Ok(found) }
}

/// Changes name or description. What a template says is changed by a new version.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `AlreadyExists`.
pub async fn update(cx: &Cx, template: Id<id::Template>, patch: TemplatePatch) -> Result<Template> {
    cx.require(Scope::AccountWrite)?;
    Error::unless_empty(update_faults(&patch))?;
    let mut tx = cx.begin("templates.update").await?;
    let found = store::lock(tx.conn(), cx.account(), template).await?;
    let mut changed = found.ok_or(NOT_FOUND)?;
    changed.name = patch.name.unwrap_or(changed.name);
    changed.description = patch.description.unwrap_or(changed.description);
    changed.updated_at = cx.now();
    let taken = Error::AlreadyExists("template");
    store::update(tx.conn(), &changed).await.on_constraint("templates_name_key", taken)?;
    let target = template.to_string();
    audit::record(&mut tx, cx, "update_template", Some(cx.account()), &target).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Every fault that [`update`] will find.
pub fn update_faults(patch: &TemplatePatch) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(name) = &patch.name {
        check::name(name, &mut faults);
    }
    if let Some(description) = &patch.description {
        check::description(description, &mut faults);
    }
    faults
}

/// Makes a version the one that messages use from now on; none: the newest.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput` when there is no such version.
pub async fn publish(
    cx: &Cx,
    template: Id<id::Template>,
    version: Option<i32>,
) -> Result<Template> {
    cx.require(Scope::AccountWrite)?;
    let mut tx = cx.begin("templates.publish").await?;
    let found = store::lock(tx.conn(), cx.account(), template).await?;
    let mut changed = found.ok_or(NOT_FOUND)?;
    let version = version.unwrap_or(changed.latest_version);
    if version < 1 || version > changed.latest_version {
        let detail = format!("versions are 1 to {}", changed.latest_version);
        return Err(Error::field("/version", "out_of_range", detail));
    }
    changed.published_version = Some(version);
    changed.updated_at = cx.now();
    store::update(tx.conn(), &changed).await?;
    let target = template.to_string();
    audit::record(&mut tx, cx, "publish_template", Some(cx.account()), &target).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Deletes a template with all versions. Messages that were made from it stay what they are.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn delete(cx: &Cx, template: Id<id::Template>) -> Result<()> {
    cx.require(Scope::AccountWrite)?;
    let mut tx = cx.begin("templates.delete").await?;
    if !store::delete(tx.conn(), cx.account(), template).await? {
        return Err(NOT_FOUND);
    }
    let target = template.to_string();
    audit::record(&mut tx, cx, "delete_template", Some(cx.account()), &target).await?;
    tx.commit().await
}
