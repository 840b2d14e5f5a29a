//! Making, looking at, changing and deleting routes: for administrators.

use super::{Route, check::Check, store, table};
use crate::{
    audit,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Account, Domain, Id},
    idempotency::{self, Begin, Created},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// Most routes in one list.
const MAX_ROUTES: i64 = 200;
/// Space between routes that are added at the end.
const STEP: i32 = 10;

/// A route to be made.
#[derive(Debug, Clone)]
pub struct NewRoute {
    /// In the list of this account.
    pub account_id: Option<Id<Account>>,
    /// In the list of this sender's domain; neither: in the list of all.
    pub domain_id: Option<Id<Domain>>,
    /// Its place; none: behind all others.
    pub position: Option<i32>,
    /// Domains of the sender; empty: any.
    pub from_domains: Vec<String>,
    /// Domains of the recipient; empty: any.
    pub to_domains: Vec<String>,
    /// Attempts already made, at least.
    pub minimum_attempts: i16,
    /// The transport.
    pub transport_id: Id<id::Transport>,
    /// For people.
    pub description: String,
}

/// Changes of a route; absent fields stay.
#[derive(Debug, Clone, Default)]
pub struct RoutePatch {
    /// Its place.
    pub position: Option<i32>,
    /// Domains of the sender; empty: any.
    pub from_domains: Option<Vec<String>>,
    /// Domains of the recipient; empty: any.
    pub to_domains: Option<Vec<String>>,
    /// Attempts already made, at least.
    pub minimum_attempts: Option<i16>,
    /// The transport.
    pub transport_id: Option<Id<id::Transport>>,
    /// For people.
    pub description: Option<String>,
}

/// Which routes are wanted.
#[derive(Debug, Clone, Default)]
pub struct RouteFilter {
    /// Of the list of this account.
    pub account_id: Option<Id<Account>>,
    /// Of the list of this domain.
    pub domain_id: Option<Id<Domain>>,
    /// Of the list of all.
    pub global: bool,
    /// To this transport.
    pub transport_id: Option<Id<id::Transport>>,
}

/// Makes a route: for all attempts that begin from now on.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `PolicyRejected` when the list has too many.
pub async fn create_route(cx: &Cx, new: NewRoute) -> Result<Created<Route>> {
    cx.require(Scope::AdminWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let (from_domains, to_domains, faults) = check(&new);
    Error::unless_empty(faults)?;
    let mut tx = cx.begin("routing.create_route").await?;
    store::lock(tx.conn()).await?;
    let list = store::list_end(tx.conn(), new.account_id, new.domain_id).await?;
    if list.count >= MAX_ROUTES {
        let detail = format!("a list has at most {MAX_ROUTES} routes");
        return Err(Error::PolicyRejected(detail));
    }
    let now = cx.now();
    let route = Route {
        id: Id::new(now),
        account_id: new.account_id,
        domain_id: new.domain_id,
        position: new.position.unwrap_or_else(|| list.last.saturating_add(STEP)),
        from_domains,
        to_domains,
        minimum_attempts: new.minimum_attempts,
        transport_id: new.transport_id,
        description: new.description,
        created_at: now,
    };
    require_targets(&mut tx, &route).await?;
    store::insert_route(tx.conn(), &route).await?;
    audit::record(&mut tx, cx, "create_route", route.account_id, &route.id.to_string()).await?;
    slot.keep(&mut tx, cx, &route).await?;
    tx.commit().await?;
    table::load(cx.platform()).await?;
    Ok(Created::fresh(route))
}

/// What a route speaks of is there: an administrator may know.
async fn require_targets(tx: &mut Tx, route: &Route) -> Result<()> {
    let missing = store::missing_targets(tx.conn(), route).await?;
    let faults = missing.into_iter().map(|(pointer, what)| {
        FieldError::new(pointer, "unknown", format!("there is no such {what}"))
    });
    Error::unless_empty(faults.collect())
}

fn check(new: &NewRoute) -> (Vec<String>, Vec<String>, Vec<FieldError>) {
    let mut check = Check::default();
    if new.account_id.is_some() && new.domain_id.is_some() {
        let detail = "a route is in the list of an account or of a domain, not both";
        check.faults.push(FieldError::new("/domain_id", "not_allowed", detail));
    }
    check.place(new.position, Some(new.minimum_attempts));
    let from_domains = check.domains("/from_domains", &new.from_domains);
    let to_domains = check.domains("/to_domains", &new.to_domains);
    check.text("/description", "invalid_description", Some(&new.description));
    (from_domains, to_domains, check.faults)
}

/// Every fault that [`create_route`] will find without the database.
pub fn route_faults(new: &NewRoute) -> Vec<FieldError> {
    check(new).2
}

/// Routes, newest first. The order in which they are asked is that of [`Route::position`].
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list_routes(
    cx: &Cx,
    filter: &RouteFilter,
    request: &PageRequest,
) -> Result<Page<Route>> {
    cx.require(Scope::AdminRead)?;
    let keyset = Keyset::new(cx, "routes", request)?;
    let mut conn = cx.platform().acquire().await?;
    let rows = store::list_routes(&mut conn, filter, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// One route.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find_route(cx: &Cx, route: Id<id::Route>) -> Result<Route> {
    cx.require(Scope::AdminRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::find_route(&mut conn, route).await?.ok_or(Error::NotFound("route"))
}

/// Changes a route: for all attempts that begin from now on. It stays in its list.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `PreconditionFailed`.
pub async fn update_route(cx: &Cx, route: Id<id::Route>, patch: RoutePatch) -> Result<Route> {
    cx.require(Scope::AdminWrite)?;
    let (from_domains, to_domains, faults) = check_patch(&patch);
    Error::unless_empty(faults)?;
    let mut tx = cx.begin("routing.update_route").await?;
    store::lock(tx.conn()).await?;
    let found = store::find_route(tx.conn(), route).await?.ok_or(Error::NotFound("route"))?;
    cx.require_version(&found)?;
    let changed = Route {
        position: patch.position.unwrap_or(found.position),
        from_domains: from_domains.unwrap_or(found.from_domains),
        to_domains: to_domains.unwrap_or(found.to_domains),
        minimum_attempts: patch.minimum_attempts.unwrap_or(found.minimum_attempts),
        transport_id: patch.transport_id.unwrap_or(found.transport_id),
        description: patch.description.unwrap_or(found.description),
        ..found
    };
    require_targets(&mut tx, &changed).await?;
    store::update_route(tx.conn(), &changed).await?;
    audit::record(&mut tx, cx, "update_route", changed.account_id, &route.to_string()).await?;
    tx.commit().await?;
    table::load(cx.platform()).await?;
    Ok(changed)
}

type Domains = Option<Vec<String>>;

fn check_patch(patch: &RoutePatch) -> (Domains, Domains, Vec<FieldError>) {
    let mut check = Check::default();
    check.place(patch.position, patch.minimum_attempts);
    let from = patch.from_domains.as_ref().map(|list| check.domains("/from_domains", list));
    let to = patch.to_domains.as_ref().map(|list| check.domains("/to_domains", list));
    check.text("/description", "invalid_description", patch.description.as_deref());
    (from, to, check.faults)
}

/// Every fault that [`update_route`] will find without the database.
pub fn route_patch_faults(patch: &RoutePatch) -> Vec<FieldError> {
    check_patch(patch).2
}

/// Deletes a route: attempts that begin from now on ask the next ones.
///
/// # Errors
/// `Forbidden`, `NotFound`, `PreconditionFailed`.
pub async fn delete_route(cx: &Cx, route: Id<id::Route>) -> Result<()> {
    cx.require(Scope::AdminWrite)?;
    let mut tx = cx.begin("routing.delete_route").await?;
    store::lock(tx.conn()).await?;
    let found = store::find_route(tx.conn(), route).await?.ok_or(Error::NotFound("route"))?;
    cx.require_version(&found)?;
    store::delete_route(tx.conn(), route).await?;
    audit::record(&mut tx, cx, "delete_route", found.account_id, &route.to_string()).await?;
    tx.commit().await?;
    table::load(cx.platform()).await
}
