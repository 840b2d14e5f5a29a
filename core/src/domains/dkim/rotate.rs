//! Replacing the keys of a domain without a moment in which a signature does not verify.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    DkimKey, State, algorithm,
    change::{begin, end, selectors, start},
    generate,
    make::selector,
    store,
};
use crate::{
    accounts, audit,
    cx::{Cx, Tx},
    domains::{Domain, checks, manage},
    error::{Error, Result},
    events::{DkimRotatedEvent, EventKind, NewEvent},
    id::{self, Id},
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// A rotation that has begun: keys whose records are to be published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rotation {
    /// The new keys.
    pub keys: Vec<DkimKey>,
}

/// Makes a new key for each algorithm that signs. When its record is seen in DNS, by [`checks`], it
/// signs in place of the old ones.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse` when a rotation is in progress, or no key signs.
pub async fn rotate(cx: &Cx, domain: Id<id::Domain>) -> Result<Created<Rotation>> {
    cx.require(Scope::AdminWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let known = manage::load(cx, domain).await?.dkim_keys;
    let mut made = Vec::new();
    for name in algorithms(&known)? {
        let algorithm = algorithm(&name).ok_or_else(|| Error::internal("unknown algorithm"))?;
        made.push(generate(cx.platform(), algorithm).await?);
    }
    let (mut tx, domain) = begin(cx, "dkim.rotate", domain).await?;
    // It may have changed meanwhile.
    algorithms(&domain.dkim_keys)?;
    let (mut taken, now) = (selectors(&domain)?, cx.now());
    let mut fresh = Vec::new();
    for mut key in made {
        key.selector = selector(key.algorithm, now, &taken);
        taken.push(key.selector.clone());
        fresh.push(key.selector.clone());
        store::insert(tx.conn(), domain.id, &key, State::Pending, now).await?;
    }
    let mut keys = store::list(tx.conn(), domain.id).await?;
    keys.retain(|key| fresh.contains(&key.selector));
    for key in &mut keys {
        key.rotates = true;
        store::update(tx.conn(), domain.id, key).await?;
    }
    checks::store::hasten(tx.conn(), domain.id, now).await?;
    audit::record(&mut tx, cx, "rotate_dkim_keys", None, &domain.name).await?;
    let rotation = Rotation { keys };
    slot.keep(&mut tx, cx, &rotation).await?;
    tx.commit().await?;
    Ok(Created::fresh(rotation))
}

/// Algorithms that get new keys.
fn algorithms(keys: &[DkimKey]) -> Result<BTreeSet<String>> {
    if keys.iter().any(|key| key.rotates) {
        let detail = "a rotation is in progress: publish the records of its keys, or delete them";
        return Err(Error::InUse(detail.to_owned()));
    }
    let active = keys.iter().filter(|key| key.is_active());
    let algorithms: BTreeSet<String> = active.map(|key| key.algorithm.clone()).collect();
    if algorithms.is_empty() {
        return Err(Error::InUse("no key signs: create one and activate it".to_owned()));
    }
    Ok(algorithms)
}

/// Notes which records were `seen`, and goes on with a rotation that has waited for them. The domain
/// is locked. Tells whether other keys sign than before.
pub(in crate::domains) async fn apply(
    tx: &mut Tx,
    domain: &Domain,
    seen: &[String],
) -> Result<bool> {
    let now = tx.now();
    let mut keys = domain.dkim_keys.clone();
    let (mut activated, mut retired) = (Vec::new(), Vec::new());
    let is_seen = |key: &DkimKey| seen.contains(&key.selector);
    let successors = keys.iter().filter(|key| key.rotates && is_seen(key));
    let replaced: BTreeSet<String> = successors.map(|key| key.algorithm.clone()).collect();
    for key in &mut keys {
        let before = (key.state, key.published_at);
        if is_seen(key) {
            key.published_at.get_or_insert(now);
        }
        if key.is_active() && replaced.contains(&key.algorithm) {
            end(key, now, domain.dkim.overlap_seconds);
            retired.push(key.selector.clone());
        } else if key.rotates && is_seen(key) {
            start(key, now);
            activated.push(key.selector.clone());
        } else if key.state == State::Pending && is_seen(key) {
            key.state = State::Published;
        }
        if (key.state, key.published_at) != before {
            store::update(tx.conn(), domain.id, key).await?;
        }
    }
    if activated.is_empty() {
        return Ok(false);
    }
    let event = DkimRotatedEvent {
        domain_id: domain.id,
        domain: &domain.name,
        activated_selectors: &activated,
        retired_selectors: &retired,
        removable_at: keys.iter().filter_map(|key| key.removable_at).max(),
    };
    for account in accounts::store::administrators(tx.conn()).await? {
        tx.emit(NewEvent::new(account, EventKind::DkimRotated, now, &event));
    }
    Ok(true)
}
