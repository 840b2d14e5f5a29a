//! Making an API key. A key can never make a stronger one.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngCore as _;
use time::OffsetDateTime;

use super::{
    ApiKeyWithSecret, NewApiKey, PREFIX,
    bounds::{Bounds, read_sender},
    store,
};
use crate::{
    accounts::{self, Account},
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::Id,
    idempotency::{self, Begin, Created},
    net::Network,
    scope::{Scope, Scopes},
};

/// Most networks, and most senders, of one key.
const MOST: usize = 100;

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
    // Before an earlier answer is given again: it has a secret that the caller might not make.
    Error::unless_empty(create_faults(cx, &new))?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let scopes = Scopes::from_names(&new.scopes);
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = digest::digest(&digest::SHA256, secret.as_bytes());
    let mut tx = cx.begin("api_keys.create").await?;
    let owner = accounts::store::find(tx.conn(), account).await?;
    require_role(owner.as_ref(), &new)?;
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
    let mut faults = form_faults(new, Some(cx.now()));
    faults.extend(Bounds::of_actor(cx.actor()).excess(new));
    faults
}

/// Faults of a key whoever makes it; its end is to be after `now`, if that is given.
pub(crate) fn form_faults(new: &NewApiKey, now: Option<OffsetDateTime>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if new.name.is_empty() || new.name.len() > 128 || new.name.chars().any(char::is_control) {
        let detail = "a name has 1 to 128 octets and no control characters";
        faults.push(FieldError::new("/name", "invalid_name", detail));
    }
    for (index, name) in new.scopes.iter().enumerate() {
        if let Err(detail) = name.parse::<Scope>() {
            faults.push(FieldError::new(format!("/scopes/{index}"), "unknown_scope", detail));
        }
    }
    for (index, cidr) in new.allowed_cidrs.iter().enumerate() {
        if let Err(error) = cidr.parse::<Network>() {
            let pointer = format!("/allowed_cidrs/{index}");
            faults.push(FieldError::new(pointer, "invalid_network", error.to_string()));
        }
    }
    for (index, sender) in new.allowed_senders.iter().enumerate() {
        if read_sender(sender).is_none() {
            let pointer = format!("/allowed_senders/{index}");
            let detail = "a sender is an address, or @ and a domain";
            faults.push(FieldError::new(pointer, "invalid_sender", detail));
        }
    }
    for (pointer, length) in [
        ("/allowed_cidrs", new.allowed_cidrs.len()),
        ("/allowed_senders", new.allowed_senders.len()),
    ] {
        if length > MOST {
            let detail = format!("there are at most {MOST}");
            faults.push(FieldError::new(pointer, "too_many", detail));
        }
    }
    if new.requests_per_minute.is_some_and(|limit| limit < 1) {
        let detail = "must be positive; null lifts the limit";
        faults.push(FieldError::new("/requests_per_minute", "out_of_range", detail));
    }
    if new.recipients_per_day.is_some_and(|limit| limit < 0) {
        let detail = "must not be negative; null lifts the limit";
        faults.push(FieldError::new("/recipients_per_day", "out_of_range", detail));
    }
    if now.is_some_and(|now| new.expires_at.is_some_and(|at| at <= now)) {
        faults.push(FieldError::new("/expires_at", "in_the_past", "the time has passed"));
    }
    faults
}

/// Only accounts of administrators have keys with their scopes.
pub(super) fn require_role(owner: Option<&Account>, key: &NewApiKey) -> Result<()> {
    let owner = owner.ok_or(Error::NotFound("account"))?;
    if owner.role == "admin" || Scopes::user().covers(Scopes::from_names(&key.scopes)) {
        return Ok(());
    }
    let detail = "only a key of an administrator's account can have the admin scopes";
    Err(Error::field("/scopes", "scope_not_allowed", detail))
}
