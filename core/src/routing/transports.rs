//! Making, looking at, changing and deleting transports: for administrators.

use super::{
    Kind, Transport,
    check::{Check, default_port, default_tls},
    store, table,
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, OnConstraint as _, Result},
    id::{self, Id},
    idempotency::{self, Begin, Created},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
    vault::Vault,
};

/// Most transports of the installation: all nodes have all in memory.
const MAX_TRANSPORTS: i64 = 100;
/// What passwords are sealed for.
pub(super) const PURPOSE: &str = "transport";
/// What a failing transport says when nobody says anything.
const NO_WAY: &str = "mail does not go there from here";

/// Settings of a transport; which of them it has depends on its kind.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Name or address of the host that takes everything.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<i32>,
    /// `required`, `opportunistic`, `implicit` or `never`.
    pub tls: Option<String>,
    /// Login name there.
    pub username: Option<String>,
    /// Password there.
    pub password: Option<String>,
    /// `ipv4` or `ipv6`, when only that is to be used.
    pub ip_version: Option<String>,
    /// The SMTP code of what fails.
    pub code: Option<i16>,
    /// The text of what fails.
    pub reply: Option<String>,
}

/// Changes of a transport; absent fields stay, `Some(None)` removes a setting.
#[derive(Debug, Clone, Default)]
pub struct TransportPatch {
    /// For people; unique.
    pub name: Option<String>,
    /// As in [`Settings`].
    pub host: Option<String>,
    /// As in [`Settings`].
    pub port: Option<i32>,
    /// As in [`Settings`].
    pub tls: Option<String>,
    /// As in [`Settings`].
    pub username: Option<Option<String>>,
    /// As in [`Settings`].
    pub password: Option<Option<String>>,
    /// As in [`Settings`].
    pub ip_version: Option<Option<String>>,
    /// As in [`Settings`].
    pub code: Option<i16>,
    /// As in [`Settings`].
    pub reply: Option<String>,
}

/// Makes a transport. Nothing takes it before a route or somebody says so.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `AlreadyExists`, `PolicyRejected` when there are too many.
pub async fn create_transport(
    cx: &Cx,
    name: String,
    kind: Kind,
    mut settings: Settings,
) -> Result<Created<Transport>> {
    cx.require(Scope::AdminWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(check(&name, kind, &mut settings))?;
    let now = cx.now();
    let transport = Transport {
        id: Id::new(now),
        name,
        kind,
        port: settings.port.or_else(|| kind.has_host().then(|| default_port(kind))),
        tls: settings.tls.or_else(|| kind.has_host().then(|| default_tls(kind).to_owned())),
        host: settings.host,
        username: settings.username,
        password: seal(cx.platform().vault(), settings.password.as_deref())?,
        ip_version: settings.ip_version,
        code: settings.code.or_else(|| (kind == Kind::Fail).then_some(554)),
        reply: settings.reply.or_else(|| (kind == Kind::Fail).then(|| NO_WAY.to_owned())),
        created_at: now,
    };
    let mut tx = cx.begin("routing.create_transport").await?;
    store::lock(tx.conn()).await?;
    if store::count_transports(tx.conn()).await? >= MAX_TRANSPORTS {
        let detail = format!("there are at most {MAX_TRANSPORTS} transports");
        return Err(Error::PolicyRejected(detail));
    }
    let inserted = store::insert_transport(tx.conn(), &transport).await;
    inserted.on_constraint("transports_name_key", Error::AlreadyExists("transport"))?;
    audit::record(&mut tx, cx, "create_transport", None, &transport.id.to_string()).await?;
    slot.keep(&mut tx, cx, &transport).await?;
    tx.commit().await?;
    table::load(cx.platform()).await?;
    Ok(Created::fresh(transport))
}

fn seal(vault: &Vault, password: Option<&str>) -> Result<Option<Vec<u8>>> {
    password.map(|password| vault.seal(PURPOSE, password.as_bytes())).transpose()
}

fn check(name: &str, kind: Kind, settings: &mut Settings) -> Vec<FieldError> {
    let mut check = Check::default();
    check.name(name);
    check.settings(settings);
    check.fits(kind, settings, settings.password.is_some());
    check.faults
}

/// Every fault that [`create_transport`] will find without the database.
pub fn transport_faults(name: &str, kind: Kind, mut settings: Settings) -> Vec<FieldError> {
    check(name, kind, &mut settings)
}

/// All transports, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list_transports(cx: &Cx, request: &PageRequest) -> Result<Page<Transport>> {
    cx.require(Scope::AdminRead)?;
    let keyset = Keyset::new(cx, "transports", request)?;
    let mut conn = cx.platform().acquire().await?;
    let rows = store::list_transports(&mut conn, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// One transport.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find_transport(cx: &Cx, transport: Id<id::Transport>) -> Result<Transport> {
    cx.require(Scope::AdminRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::find_transport(&mut conn, transport).await?;
    found.ok_or(Error::NotFound("transport"))
}

/// Changes a transport: for all attempts that begin from now on.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `AlreadyExists`, `PreconditionFailed`.
pub async fn update_transport(
    cx: &Cx,
    transport: Id<id::Transport>,
    patch: TransportPatch,
) -> Result<Transport> {
    cx.require(Scope::AdminWrite)?;
    let mut tx = cx.begin("routing.update_transport").await?;
    store::lock(tx.conn()).await?;
    let found = store::find_transport(tx.conn(), transport).await?;
    let found = found.ok_or(Error::NotFound("transport"))?;
    cx.require_version(&found)?;
    let changed = apply(cx.platform().vault(), found, patch)?;
    let updated = store::update_transport(tx.conn(), &changed).await;
    updated.on_constraint("transports_name_key", Error::AlreadyExists("transport"))?;
    audit::record(&mut tx, cx, "update_transport", None, &transport.to_string()).await?;
    tx.commit().await?;
    table::load(cx.platform()).await?;
    Ok(changed)
}

fn apply(vault: &Vault, found: Transport, patch: TransportPatch) -> Result<Transport> {
    let mut settings = Settings {
        host: patch.host.or(found.host),
        port: patch.port.or(found.port),
        tls: patch.tls.or(found.tls),
        username: patch.username.unwrap_or(found.username),
        password: patch.password.clone().flatten(),
        ip_version: patch.ip_version.unwrap_or(found.ip_version),
        code: patch.code.or(found.code),
        reply: patch.reply.or(found.reply),
    };
    let password = match patch.password {
        Some(password) => seal(vault, password.as_deref())?,
        None => found.password,
    };
    let name = patch.name.unwrap_or(found.name);
    let mut check = Check::default();
    check.name(&name);
    check.settings(&mut settings);
    check.fits(found.kind, &settings, password.is_some());
    Error::unless_empty(check.faults)?;
    let Settings { host, port, tls, username, ip_version, code, reply, .. } = settings;
    let (id, kind, created_at) = (found.id, found.kind, found.created_at);
    Ok(Transport {
        id,
        name,
        kind,
        host,
        port,
        tls,
        username,
        password,
        ip_version,
        code,
        reply,
        created_at,
    })
}

/// Every fault that [`update_transport`] will find in the patch itself.
pub fn transport_patch_faults(patch: TransportPatch) -> Vec<FieldError> {
    let mut check = Check::default();
    if let Some(name) = &patch.name {
        check.name(name);
    }
    check.settings(&mut Settings {
        host: patch.host,
        port: patch.port,
        tls: patch.tls,
        username: patch.username.flatten(),
        password: patch.password.flatten(),
        ip_version: patch.ip_version.flatten(),
        code: patch.code,
        reply: patch.reply,
    });
    check.faults
}

/// Deletes a transport that no route leads to. Deliveries that it was chosen for wait until another
/// is.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse`, `PreconditionFailed`.
pub async fn delete_transport(cx: &Cx, transport: Id<id::Transport>) -> Result<()> {
    cx.require(Scope::AdminWrite)?;
    let mut tx = cx.begin("routing.delete_transport").await?;
    store::lock(tx.conn()).await?;
    let found = store::find_transport(tx.conn(), transport).await?;
    cx.require_version(&found.ok_or(Error::NotFound("transport"))?)?;
    let in_use = Error::InUse("routes lead to this transport".to_owned());
    let deleted = store::delete_transport(tx.conn(), transport).await;
    deleted.on_constraint("routes_transport_id_fkey", in_use)?;
    audit::record(&mut tx, cx, "delete_transport", None, &transport.to_string()).await?;
    tx.commit().await?;
    table::load(cx.platform()).await
}

/// Refuses a transport that is not there.
pub(crate) async fn require_transport(cx: &Cx, transport: Id<id::Transport>) -> Result<()> {
    let mut conn = cx.platform().acquire().await?;
    if store::find_transport(&mut conn, transport).await?.is_none() {
        return Err(Error::field("/transport_id", "unknown", "there is no such transport"));
    }
    Ok(())
}
