//! Making an account.

use posthouse_mail::address::Address;

use super::{
    Account, NewAccount,
    store::{self, NewAddress},
};
use crate::{
    api_keys::bounds::Bounds,
    audit, credentials,
    cx::{Cx, Tx},
    domains,
    error::{Error, FieldError, Result},
    id::Id,
    idempotency::{self, Begin, Created},
    mailboxes,
    scope::{Scope, Scopes},
    text,
};

/// Makes an account with its addresses, password and first mailboxes (I17).
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `AlreadyExists`.
pub async fn create(cx: &Cx, new: NewAccount) -> Result<Created<Account>> {
    cx.require(Scope::AdminWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(create_faults(&new))?;
    if new.admin && new.password.is_some() {
        require_password(cx, Scopes::all())?;
    }
    let now = cx.now();
    let id = Id::new(now);
    // Hashing takes a while: before the transaction.
    let salt = credentials::new_salt();
    let secrets = credentials::derive(new.password.as_deref(), salt.clone()).await?;
    let mut tx = cx.begin("accounts.create").await?;
    let addresses = parse_addresses(&mut tx, &new.addresses).await?;
    store::insert(tx.conn(), id, &new, &salt, now).await?;
    store::set_addresses(tx.conn(), id, &addresses, now).await?;
    if let Some(secrets) = secrets {
        credentials::store::set(tx.conn(), id, &secrets, now).await?;
    }
    mailboxes::create_initial(&mut tx, id, now).await?;
    let account = store::find(tx.conn(), id).await?.ok_or(Error::NotFound("account"))?;
    audit::record(&mut tx, cx, "create_account", Some(id), &new.name).await?;
    slot.keep(&mut tx, cx, &account).await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(Created::fresh(account))
}

/// A password lets in with these scopes and without any other bounds: who sets the one of an
/// administrator, or the own one, needs as much (THREATS 22).
pub(super) fn require_password(cx: &Cx, scopes: Scopes) -> Result<()> {
    if Bounds::of_actor(cx.actor()).are_at_least(scopes) {
        return Ok(());
    }
    let detail = "a key that is bound cannot set a password that lets in without those bounds";
    Err(Error::field("/password", "stronger_than_caller", detail))
}

/// Every fault that [`create`] will find without the database. Whether the domain of an address is
/// served here, and whether an address stands twice by the rules of its domain, it asks later.
pub fn create_faults(new: &NewAccount) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let name_is_good = (1..=128).contains(&new.name.chars().count())
        && !new.name.chars().any(char::is_control)
        && new.name.trim() == new.name;
    if !name_is_good {
        let detail =
            "a name has 1 to 128 characters, no control characters and no space at its ends";
        faults.push(FieldError::new("/name", "invalid_name", detail));
    }
    if let Some(detail) = new.password.as_deref().and_then(credentials::password_fault) {
        faults.push(FieldError::new("/password", "invalid_password", detail));
    }
    if new.retention_seconds.is_some_and(|seconds| seconds < 0) {
        faults.push(FieldError::new("/retention_seconds", "out_of_range", "must not be negative"));
    }
    if new.quota_bytes.is_some_and(|bytes| bytes <= 0) {
        faults.push(FieldError::new("/quota_bytes", "out_of_range", "must be positive, or null"));
    }
    faults.extend(text::fault("/full_name", "invalid_text", &new.full_name));
    faults.extend(address_faults(&new.addresses));
    faults
}

/// Texts that are neither an address nor an `@domain`.
pub(super) fn address_faults(texts: &[String]) -> Vec<FieldError> {
    let fault = |(index, text): (usize, &String)| {
        let detail = split_address(text).err()?;
        Some(FieldError::new(format!("/addresses/{index}"), "invalid_address", detail))
    };
    texts.iter().enumerate().filter_map(fault).collect()
}

/// Reads addresses and `@domain`s; all faults at once.
pub(super) async fn parse_addresses(tx: &mut Tx, texts: &[String]) -> Result<Vec<NewAddress>> {
    let mut faults = Vec::new();
    let mut addresses: Vec<NewAddress> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let pointer = format!("/addresses/{index}");
        match parse_address(tx, text).await? {
            Ok(address) => {
                let taken = |known: &NewAddress| {
                    known.domain_id == address.domain_id && known.local_part == address.local_part
                };
                if addresses.iter().any(taken) {
                    let detail = "the same address stands twice in the list";
                    faults.push(FieldError::new(pointer, "duplicate", detail));
                } else {
                    addresses.push(address);
                }
            }
            Err((code, detail)) => faults.push(FieldError::new(pointer, code, detail)),
        }
    }
    Error::unless_empty(faults)?;
    Ok(addresses)
}

/// Local part, none for all of the domain, and domain.
fn split_address(text: &str) -> Result<(Option<String>, String), String> {
    match text.strip_prefix('@') {
        Some(domain) => match posthouse_mail::domain::normalise(domain) {
            Ok(domain) => Ok((None, domain)),
            Err(error) => Err(error.to_string()),
        },
        None => match Address::parse(text) {
            Ok(address) => Ok((Some(address.local().to_owned()), address.domain().to_owned())),
            Err(error) => Err(error.to_string()),
        },
    }
}

type Parsed = std::result::Result<NewAddress, (&'static str, String)>;

async fn parse_address(tx: &mut Tx, text: &str) -> Result<Parsed> {
    let (local, name) = match split_address(text) {
        Ok(parts) => parts,
        Err(detail) => return Ok(Err(("invalid_address", detail))),
    };
    let Some(domain) = domains::store::find_by_name(tx.conn(), &name).await? else {
        let detail = format!("the domain {name} is not served here: create it first");
        return Ok(Err(("unknown_domain", detail)));
    };
    let local_part = local.map_or_else(String::new, |local| domain.rules.canonical(&local));
    Ok(Ok(NewAddress { domain_id: domain.id, local_part, display: text.to_owned() }))
}
