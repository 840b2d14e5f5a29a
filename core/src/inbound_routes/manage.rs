//! Looking at, changing and deleting routes.

use super::{
    NOT_FOUND, Route, RoutePatch,
    check::{self, Check},
    store,
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{Id, InboundRoute},
    scope::Scope,
};

/// All routes of the account, in the order in which they are asked.
///
/// # Errors
/// `Forbidden`.
pub async fn list(cx: &Cx) -> Result<Vec<Route>> {
    cx.require(Scope::MailRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::list(&mut conn, cx.account()).await
}

/// One route.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, route: Id<InboundRoute>) -> Result<Route> {
    let routes = list(cx).await?;
    routes.into_iter().find(|found| found.id == route).ok_or(NOT_FOUND)
}

/// Changes a route.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `PreconditionFailed`.
pub async fn update(cx: &Cx, route: Id<InboundRoute>, patch: RoutePatch) -> Result<Route> {
    cx.require(Scope::MailWrite)?;
    let mut tx = cx.begin("inbound_routes.update").await?;
    store::lock(tx.conn(), cx.account()).await?;
    let routes = store::list(tx.conn(), cx.account()).await?;
    let mut changed = routes.into_iter().find(|found| found.id == route).ok_or(NOT_FOUND)?;
    cx.require_version(&changed)?;
    Error::unless_empty(update_faults(&patch))?;
    if let Some(actions) = patch.actions {
        check::may(cx, &actions)?;
        check::known(tx.conn(), cx, &actions).await?;
        changed.actions = actions;
    }
    changed.name = patch.name.unwrap_or(changed.name);
    changed.enabled = patch.enabled.unwrap_or(changed.enabled);
    changed.priority = patch.priority.unwrap_or(changed.priority);
    changed.go_on = patch.go_on.unwrap_or(changed.go_on);
    changed.matches = patch.matches.unwrap_or(changed.matches);
    changed.updated_at = cx.now();
    store::save(tx.conn(), &changed).await?;
    let target = route.to_string();
    audit::record(&mut tx, cx, "update_inbound_route", Some(cx.account()), &target).await?;
    tx.commit().await?;
    cx.platform().inbound_routes().forget(cx.account()).await;
    Ok(changed)
}

/// Every fault that [`update`] will find, but for mailboxes and endpoints that do not exist.
pub fn update_faults(patch: &RoutePatch) -> Vec<FieldError> {
    let mut check = Check::default();
    if let Some(name) = &patch.name {
        check.name(name);
    }
    if let Some(priority) = patch.priority {
        check.priority(priority);
    }
    if let Some(matches) = &patch.matches {
        check.matches(matches);
    }
    if let Some(actions) = &patch.actions {
        check.actions(actions);
    }
    check.faults
}

/// Deletes a route.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn delete(cx: &Cx, route: Id<InboundRoute>) -> Result<()> {
    cx.require(Scope::MailWrite)?;
    let mut tx = cx.begin("inbound_routes.delete").await?;
    if !store::delete(tx.conn(), cx.account(), route).await? {
        return Err(NOT_FOUND);
    }
    let target = route.to_string();
    audit::record(&mut tx, cx, "delete_inbound_route", Some(cx.account()), &target).await?;
    tx.commit().await?;
    cx.platform().inbound_routes().forget(cx.account()).await;
    Ok(())
}
