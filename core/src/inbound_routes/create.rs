//! Making a route.

use super::{
    MAX_PER_ACCOUNT, NewRoute, Route,
    check::{self, Check},
    store,
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::Id,
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// Makes a route: it is asked about mail that comes in from now on.
///
/// # Errors
/// `Forbidden` (also to send mail on without the scope `send`), `InvalidInput`, `PolicyRejected` when the account has too many.
pub async fn create(cx: &Cx, new: NewRoute) -> Result<Created<Route>> {
    cx.require(Scope::MailWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(create_faults(&new))?;
    check::may(cx, &new.actions)?;
    let now = cx.now();
    let route = Route {
        id: Id::new(now),
        account_id: cx.account(),
        name: new.name,
        enabled: new.enabled,
        priority: new.priority,
        go_on: new.go_on,
        matches: new.matches,
        actions: new.actions,
        created_at: now,
        updated_at: now,
    };
    let mut tx = cx.begin("inbound_routes.create").await?;
    store::lock(tx.conn(), cx.account()).await?;
    check::known(tx.conn(), cx, &route.actions).await?;
    if store::list(tx.conn(), cx.account()).await?.len() >= MAX_PER_ACCOUNT {
        let detail = format!("an account has at most {MAX_PER_ACCOUNT} inbound routes");
        return Err(Error::PolicyRejected(detail));
    }
    store::save(tx.conn(), &route).await?;
    let target = route.id.to_string();
    audit::record(&mut tx, cx, "create_inbound_route", Some(cx.account()), &target).await?;
    slot.keep(&mut tx, cx, &route).await?;
    tx.commit().await?;
    cx.platform().inbound_routes().forget(cx.account()).await;
    Ok(Created::fresh(route))
}

/// Every fault that [`create`] will find, but for mailboxes and endpoints that do not exist.
pub fn create_faults(new: &NewRoute) -> Vec<FieldError> {
    let mut check = Check::default();
    check.name(&new.name);
    check.priority(new.priority);
    check.matches(&new.matches);
    check.actions(&new.actions);
    check.faults
}
