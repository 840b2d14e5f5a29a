//! Looking at keys, making them, and what becomes of them by hand.

use posthouse_mail::dkim::Algorithm;
use time::Duration;

use super::{
    DkimKey, MAX_KEYS, NewDkimKey, State, algorithm, generate,
    make::{import, read_pem, selector, selector_fault},
    store,
};
use crate::{
    audit,
    cx::{Cx, Tx},
    domains::{self, Domain, checks},
    error::{Error, FieldError, Result},
    id::{self, Id},
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// The keys of a domain, in the order of their selectors.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn list(cx: &Cx, domain: Id<id::Domain>) -> Result<Vec<DkimKey>> {
    Ok(domains::find(cx, domain).await?.dkim_keys)
}

/// One key.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, domain: Id<id::Domain>, selector: &str) -> Result<DkimKey> {
    one_of(list(cx, domain).await?, selector)
}

fn one_of(keys: Vec<DkimKey>, selector: &str) -> Result<DkimKey> {
    let found = keys.into_iter().find(|key| key.selector == selector);
    found.ok_or(Error::NotFound("DKIM key"))
}

/// Makes or imports a key. It does not sign before it is activated.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `AlreadyExists`, `InUse` when there are too many.
pub async fn create(cx: &Cx, domain: Id<id::Domain>, new: NewDkimKey) -> Result<Created<DkimKey>> {
    cx.require(Scope::AdminWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let (algorithm, pkcs8) = check(&new).map_err(Error::InvalidInput)?;
    let mut key = match pkcs8 {
        Some(pkcs8) => import(cx.platform(), &(algorithm, pkcs8))?,
        None => generate(cx.platform(), algorithm).await?,
    };
    let (mut tx, domain) = begin(cx, "dkim.create", domain).await?;
    let taken = selectors(&domain)?;
    let name = new.selector.unwrap_or_else(|| selector(key.algorithm, cx.now(), &taken));
    key.selector.clone_from(&name);
    store::insert(tx.conn(), domain.id, &key, State::Pending, cx.now()).await?;
    checks::store::hasten(tx.conn(), domain.id, cx.now()).await?;
    let made = one_of(store::list(tx.conn(), domain.id).await?, &name)?;
    audit::record(&mut tx, cx, "create_dkim_key", None, &made.record_name).await?;
    slot.keep(&mut tx, cx, &made).await?;
    tx.commit().await?;
    Ok(Created::fresh(made))
}

/// Every fault that [`create`] will find without the database.
pub fn create_faults(new: &NewDkimKey) -> Vec<FieldError> {
    check(new).err().unwrap_or_default()
}

/// What the new key is for, and the private key that came with it.
fn check(new: &NewDkimKey) -> Result<(Algorithm, Option<Vec<u8>>), Vec<FieldError>> {
    let mut faults = Vec::new();
    if let Some(detail) = new.selector.as_deref().and_then(selector_fault) {
        faults.push(FieldError::new("/selector", "invalid_selector", detail));
    }
    let named = new.algorithm.as_deref().map(algorithm);
    if named == Some(None) {
        let detail = "an algorithm is rsa-2048 or ed25519";
        faults.push(FieldError::new("/algorithm", "invalid_algorithm", detail));
    }
    let read = new.private_key.as_deref().map(read_pem).transpose();
    let read = read.unwrap_or_else(|detail| {
        faults.push(FieldError::new("/private_key", "invalid_key", detail));
        None
    });
    let imported = read.as_ref().map(|(algorithm, _)| *algorithm);
    let algorithm = match (named.flatten(), imported) {
        (Some(named), Some(imported)) if named != imported => {
            let detail = "the private key is of another algorithm";
            faults.push(FieldError::new("/algorithm", "invalid_algorithm", detail));
            named
        }
        (named, imported) => imported.or(named).unwrap_or_else(|| {
            if faults.is_empty() {
                let detail = "say an algorithm, or give a private key";
                faults.push(FieldError::new("/algorithm", "invalid_algorithm", detail));
            }
            Algorithm::RsaSha256
        }),
    };
    let pkcs8 = read.map(|(_, pkcs8)| pkcs8);
    if faults.is_empty() { Ok((algorithm, pkcs8)) } else { Err(faults) }
}

/// Lets a key sign. Its record has to be in DNS, unless `force`.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse` when the record was not seen.
pub async fn activate(
    cx: &Cx,
    domain: Id<id::Domain>,
    selector: &str,
    force: bool,
) -> Result<DkimKey> {
    cx.require(Scope::AdminWrite)?;
    let key = one_of(domains::manage::load(cx, domain).await?.dkim_keys, selector)?;
    let is_seen = !force && !key.is_active() && checks::dkim::is_seen(cx.platform(), &key).await;
    let (mut tx, domain) = begin(cx, "dkim.activate", domain).await?;
    let mut key = one_of(domain.dkim_keys, selector)?;
    if key.is_active() {
        return Ok(key);
    }
    if !is_seen && !force {
        return Err(Error::InUse(format!(
            "the TXT record of this key is not seen at {}: publish it first, or use force=true",
            key.record_name
        )));
    }
    key.published_at = key.published_at.or_else(|| is_seen.then(|| cx.now()));
    start(&mut key, cx.now());
    store::update(tx.conn(), domain.id, &key).await?;
    finish(cx, tx, "activate_dkim_key", &key.record_name).await?;
    Ok(key)
}

/// The key signs from now on.
pub(super) fn start(key: &mut DkimKey, now: time::OffsetDateTime) {
    (key.state, key.rotates, key.activated_at) = (State::Active, false, Some(now));
    (key.retired_at, key.removable_at) = (None, None);
}

/// The key signs no more.
pub(super) fn end(key: &mut DkimKey, now: time::OffsetDateTime, overlap_seconds: i32) {
    (key.state, key.retired_at) = (State::Retired, Some(now));
    key.removable_at = Some(now + Duration::seconds(overlap_seconds.into()));
}

/// Lets a key sign no more. The last one stays, unless `force`.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse` for a key that does not sign, or is the last that does.
pub async fn retire(
    cx: &Cx,
    domain: Id<id::Domain>,
    selector: &str,
    force: bool,
) -> Result<DkimKey> {
    cx.require(Scope::AdminWrite)?;
    let (mut tx, domain) = begin(cx, "dkim.retire", domain).await?;
    let active = domain.dkim_keys.iter().filter(|key| key.is_active()).count();
    let mut key = one_of(domain.dkim_keys, selector)?;
    if !key.is_active() {
        return Err(Error::InUse("this key does not sign".to_owned()));
    }
    if active == 1 && !force {
        return Err(Error::InUse(
            "this is the last key that signs: activate another, or use force=true to send mail \
             without signatures"
                .to_owned(),
        ));
    }
    end(&mut key, cx.now(), domain.dkim.overlap_seconds);
    store::update(tx.conn(), domain.id, &key).await?;
    finish(cx, tx, "retire_dkim_key", &key.record_name).await?;
    Ok(key)
}

/// Forgets a key that does not sign, and whose signatures are not on their way any more.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse`.
pub async fn delete(cx: &Cx, domain: Id<id::Domain>, selector: &str) -> Result<()> {
    cx.require(Scope::AdminWrite)?;
    let (mut tx, domain) = begin(cx, "dkim.delete", domain).await?;
    let key = one_of(domain.dkim_keys, selector)?;
    if key.is_active() {
        return Err(Error::InUse("this key signs: retire it first".to_owned()));
    }
    if let Some(end) = key.removable_at.filter(|end| *end > cx.now()) {
        let end = crate::time::rfc3339(end);
        return Err(Error::InUse(format!("what it has signed may be on its way until {end}")));
    }
    store::delete(tx.conn(), domain.id, selector).await?;
    finish(cx, tx, "delete_dkim_key", &key.record_name).await
}

/// Begins a change of keys: nobody else changes the domain meanwhile.
pub(super) async fn begin(
    cx: &Cx,
    name: &'static str,
    domain: Id<id::Domain>,
) -> Result<(Tx, Domain)> {
    let mut tx = cx.begin(name).await?;
    let domain = domains::store::find_locked(&mut tx, domain, &cx.platform().config().hostname);
    let domain = domain.await?.ok_or(Error::NotFound("domain"))?;
    Ok((tx, domain))
}

/// The selectors of a domain that may have one key more.
pub(super) fn selectors(domain: &Domain) -> Result<Vec<String>> {
    if domain.dkim_keys.len() >= MAX_KEYS {
        return Err(Error::InUse(format!(
            "a domain has at most {MAX_KEYS} keys: delete one first"
        )));
    }
    Ok(domain.dkim_keys.iter().map(|key| key.selector.clone()).collect())
}

async fn finish(cx: &Cx, mut tx: Tx, action: &str, target: &str) -> Result<()> {
    audit::record(&mut tx, cx, action, None, target).await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(())
}
