//! Making an API key. A key can never make a stronger one.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use posthouse_mail::address::Address;
use rand::RngCore as _;

use super::{ApiKeyWithSecret, NewApiKey, PREFIX, store};
use crate::{
    accounts, audit,
    cx::{Credential, Cx},
    error::{Error, FieldError, Result},
    id::Id,
    idempotency::{self, Begin, Created},
    net::Network,
    scope::{Scope, Scopes},
};

/// Makes a key for the caller's account, or as administrator for any.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `NotFound`.
pub async fn create(cx: &Cx, new: NewApiKey) -> Result<Created<ApiKeyWithSecret>> {
    require_create(cx)?;
    let account = new.account.unwrap_or_else(|| cx.account());
    if account != cx.account() && !is_admin(cx) {
        return Err(Error::NotFound("account"));
    }
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let scopes = check(cx, &new).map_err(Error::InvalidInput)?;
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = digest::digest(&digest::SHA256, secret.as_bytes());
    let mut tx = cx.begin("api_keys.create").await?;
    let owner = accounts::store::find(tx.conn(), account).await?;
    let owner = owner.ok_or(Error::NotFound("account"))?;
    if owner.role != "admin" && !Scopes::user().covers(scopes) {
        let detail = "only a key of an administrator's account can have the admin scopes";
        return Err(Error::field("/scopes", "scope_not_allowed", detail));
    }
    let id = Id::new(cx.now());
    let hint = secret.get(..10).unwrap_or(PREFIX);
    let row = store::NewRow { id, account, hash: hash.as_ref(), hint, scopes: &scopes.names() };
    store::insert(tx.conn(), &row, &new, cx.now()).await?;
    let api_key = store::find(tx.conn(), id).await?.ok_or(Error::NotFound("API key"))?;
    audit::record(&mut tx, cx, "create_api_key", Some(account), &id.to_string()).await?;
    let created = ApiKeyWithSecret { api_key, secret };
    slot.keep(&mut tx, cx, &created).await?;
    tx.commit().await?;
    Ok(Created::fresh(created))
}

/// Whether the caller may make keys at all.
///
/// # Errors
/// `Forbidden`.
pub fn require_create(cx: &Cx) -> Result<()> {
    if is_admin(cx) { Ok(()) } else { cx.require(Scope::AccountWrite) }
}

fn is_admin(cx: &Cx) -> bool {
    cx.actor().scopes.has(Scope::AdminWrite)
}

/// Every fault that [`create`] will find without the database: what the role of the owner does not
/// allow, it asks later.
pub fn create_faults(cx: &Cx, new: &NewApiKey) -> Vec<FieldError> {
    check(cx, new).err().unwrap_or_default()
}

fn check(cx: &Cx, new: &NewApiKey) -> Result<Scopes, Vec<FieldError>> {
    let mut faults = Vec::new();
    if new.name.is_empty() || new.name.len() > 128 || new.name.chars().any(char::is_control) {
        let detail = "a name has 1 to 128 octets and no control characters";
        faults.push(FieldError::new("/name", "invalid_name", detail));
    }
    let mut scopes = Vec::new();
    for (index, name) in new.scopes.iter().enumerate() {
        let pointer = format!("/scopes/{index}");
        match name.parse::<Scope>() {
            Ok(scope) if cx.actor().scopes.has(scope) => scopes.push(scope),
            Ok(_) => {
                let detail = "a key cannot give a scope that the caller lacks";
                faults.push(FieldError::new(pointer, "scope_not_allowed", detail));
            }
            Err(detail) => faults.push(FieldError::new(pointer, "unknown_scope", detail)),
        }
    }
    for (index, cidr) in new.allowed_cidrs.iter().enumerate() {
        if let Err(error) = cidr.parse::<Network>() {
            let pointer = format!("/allowed_cidrs/{index}");
            faults.push(FieldError::new(pointer, "invalid_network", error.to_string()));
        }
    }
    for (index, sender) in new.allowed_senders.iter().enumerate() {
        if !is_sender(sender) {
            let pointer = format!("/allowed_senders/{index}");
            let detail = "a sender is an address, or @ and a domain";
            faults.push(FieldError::new(pointer, "invalid_sender", detail));
        }
    }
    if let Some(fault) = weaker_than_caller(cx, new) {
        faults.push(fault);
    }
    if new.expires_at.is_some_and(|at| at <= cx.now()) {
        faults.push(FieldError::new("/expires_at", "in_the_past", "the time has passed"));
    }
    if faults.is_empty() { Ok(scopes.into_iter().collect()) } else { Err(faults) }
}

fn is_sender(text: &str) -> bool {
    match text.strip_prefix('@') {
        Some(domain) => posthouse_mail::domain::normalise(domain).is_ok(),
        None => Address::parse(text).is_ok(),
    }
}

/// A restricted key makes only keys with the same restrictions.
fn weaker_than_caller(cx: &Cx, new: &NewApiKey) -> Option<FieldError> {
    let actor = cx.actor();
    if !matches!(actor.credential, Credential::ApiKey(_)) {
        return None;
    }
    if actor.sandbox && !new.sandbox {
        let detail = "a sandbox key makes only sandbox keys";
        return Some(FieldError::new("/sandbox", "stronger_than_caller", detail));
    }
    if actor.allowed_senders.is_empty() {
        return None;
    }
    let within = !new.allowed_senders.is_empty()
        && new.allowed_senders.iter().all(|sender| actor.allowed_senders.contains(sender));
    let detail = "a key with allowed senders makes only keys with senders among them";
    (!within).then(|| FieldError::new("/allowed_senders", "stronger_than_caller", detail))
}
