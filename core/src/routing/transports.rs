//! Making, looking at, changing and deleting transports: for administrators.

use super::{
    Kind, Transport,
    check::{Check, Secrets, default_port, default_tls},
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
/// What keys of certificates are sealed for.
pub(super) const KEY_PURPOSE: &str = "transport key";
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
    /// The mechanisms that a login may use; none named: what is safe.
    pub auth_mechanisms: Option<Vec<String>>,
    /// Whether to log in without verified TLS too.
    pub insecure_auth: Option<bool>,
    /// Our certificate there, with its chain, as PEM.
    pub client_certificate: Option<String>,
    /// Its key, as PEM.
    pub client_key: Option<String>,
    /// `ipv4` or `ipv6`, when only that is to be used.
    pub ip_version: Option<String>,
    /// Where connections come from; none: anywhere.
    pub source_addresses: Option<Vec<String>>,
    /// Our name in EHLO.
    pub ehlo_name: Option<String>,
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
    pub auth_mechanisms: Option<Vec<String>>,
    /// As in [`Settings`].
    pub insecure_auth: Option<bool>,
    /// As in [`Settings`]; changed with its key only.
    pub client_certificate: Option<Option<String>>,
    /// As in [`Settings`].
    pub client_key: Option<Option<String>>,
    /// As in [`Settings`].
    pub ip_version: Option<Option<String>>,
    /// As in [`Settings`].
    pub source_addresses: Option<Vec<String>>,
    /// As in [`Settings`].
    pub ehlo_name: Option<Option<String>>,
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
    let transport = new(cx, name, kind, settings)?;
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

fn new(cx: &Cx, name: String, kind: Kind, settings: Settings) -> Result<Transport> {
    let (vault, now) = (cx.platform().vault(), cx.now());
    Ok(Transport {
        id: Id::new(now),
        name,
        kind,
        port: settings.port.or_else(|| kind.has_host().then(|| default_port(kind))),
        tls: settings.tls.or_else(|| kind.relays().then(|| default_tls(kind).to_owned())),
        host: settings.host,
        username: settings.username,
        password: seal(vault, PURPOSE, settings.password.as_deref())?,
        auth_mechanisms: settings.auth_mechanisms.unwrap_or_default(),
        insecure_auth: settings.insecure_auth.unwrap_or_default(),
        client_certificate: settings.client_certificate,
        client_key: seal(vault, KEY_PURPOSE, settings.client_key.as_deref())?,
        ip_version: settings.ip_version,
        source_addresses: settings.source_addresses.unwrap_or_default(),
        ehlo_name: settings.ehlo_name,
        code: settings.code.or_else(|| (kind == Kind::Fail).then_some(554)),
        reply: settings.reply.or_else(|| (kind == Kind::Fail).then(|| NO_WAY.to_owned())),
        created_at: now,
    })
}

fn seal(vault: &Vault, purpose: &str, secret: Option<&str>) -> Result<Option<Vec<u8>>> {
    secret.map(|secret| vault.seal(purpose, secret.as_bytes())).transpose()
}

fn check(name: &str, kind: Kind, settings: &mut Settings) -> Vec<FieldError> {
    let mut check = Check::default();
    check.name(name);
    let (certificate, key) = (settings.client_certificate.is_some(), settings.client_key.is_some());
    check.pair(certificate, key);
    check.settings(settings);
    check.fits(kind, settings, Secrets { password: settings.password.is_some(), key });
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
    let mut check = Check::default();
    check.pair(patch.client_certificate.is_some(), patch.client_key.is_some());
    let password = match &patch.password {
        Some(password) => seal(vault, PURPOSE, password.as_deref())?,
        None => found.password.clone(),
    };
    let client_key = match &patch.client_key {
        Some(key) => seal(vault, KEY_PURPOSE, key.as_deref())?,
        None => found.client_key.clone(),
    };
    let name = patch.name.clone().unwrap_or_else(|| found.name.clone());
    let (id, kind, created_at) = (found.id, found.kind, found.created_at);
    let mut settings = merge(found, patch);
    check.name(&name);
    check.settings(&mut settings);
    let secrets = Secrets { password: password.is_some(), key: client_key.is_some() };
    check.fits(kind, &settings, secrets);
    if check.faults.is_empty() {
        check.pair(settings.client_certificate.is_some(), client_key.is_some());
    }
    Error::unless_empty(check.faults)?;
    Ok(Transport {
        id,
        name,
        kind,
        host: settings.host,
        port: settings.port,
        tls: settings.tls,
        username: settings.username,
        password,
        auth_mechanisms: settings.auth_mechanisms.unwrap_or_default(),
        insecure_auth: settings.insecure_auth.unwrap_or_default(),
        client_certificate: settings.client_certificate,
        client_key,
        ip_version: settings.ip_version,
        source_addresses: settings.source_addresses.unwrap_or_default(),
        ehlo_name: settings.ehlo_name,
        code: settings.code,
        reply: settings.reply,
        created_at,
    })
}

/// The settings as they will be; secrets only where they are new.
fn merge(found: Transport, patch: TransportPatch) -> Settings {
    Settings {
        host: patch.host.or(found.host),
        port: patch.port.or(found.port),
        tls: patch.tls.or(found.tls),
        username: patch.username.unwrap_or(found.username),
        password: patch.password.flatten(),
        auth_mechanisms: patch.auth_mechanisms.or(Some(found.auth_mechanisms)),
        insecure_auth: patch.insecure_auth.or(Some(found.insecure_auth)),
        client_certificate: patch.client_certificate.unwrap_or(found.client_certificate),
        client_key: patch.client_key.flatten(),
        ip_version: patch.ip_version.unwrap_or(found.ip_version),
        source_addresses: patch.source_addresses.or(Some(found.source_addresses)),
        ehlo_name: patch.ehlo_name.unwrap_or(found.ehlo_name),
        code: patch.code.or(found.code),
        reply: patch.reply.or(found.reply),
    }
}

/// Every fault that [`update_transport`] will find in the patch itself.
pub fn transport_patch_faults(patch: TransportPatch) -> Vec<FieldError> {
    let mut check = Check::default();
    if let Some(name) = &patch.name {
        check.name(name);
    }
    check.pair(patch.client_certificate.is_some(), patch.client_key.is_some());
    check.settings(&mut Settings {
        host: patch.host,
        port: patch.port,
        tls: patch.tls,
        username: patch.username.flatten(),
        password: patch.password.flatten(),
        auth_mechanisms: patch.auth_mechanisms,
        insecure_auth: patch.insecure_auth,
        client_certificate: patch.client_certificate.flatten(),
        client_key: patch.client_key.flatten(),
        ip_version: patch.ip_version.flatten(),
        source_addresses: patch.source_addresses,
        ehlo_name: patch.ehlo_name.flatten(),
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
