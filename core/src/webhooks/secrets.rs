//! The secrets that sign what an endpoint gets, and their rotation with overlap.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{
    NOT_FOUND, SignatureScheme, manage, signature,
    store::{self, Former, Keys},
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{self, Id},
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// How long a replaced secret goes on signing when nobody says otherwise.
const OVERLAP: i64 = 24 * 3600;
/// A week.
const MAX_OVERLAP: i64 = 7 * 24 * 3600;
/// Most replaced secrets that sign at a time: each makes the header field longer.
const MAX_FORMER: usize = 4;

/// What receivers need to verify.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// `whsec_…`, or `whpk_…`: a public key.
    pub secret: String,
    /// How it signs.
    pub signature_scheme: SignatureScheme,
    /// Replaced ones that still sign too, newest first.
    pub former: Vec<FormerSecret>,
}

/// A secret that was replaced.
#[derive(Clone, Serialize, Deserialize)]
pub struct FormerSecret {
    /// `whsec_…` or `whpk_…`
    pub secret: String,
    /// It signs until then.
    #[serde(with = "crate::time::millis")]
    pub expires_at: OffsetDateTime,
}

/// How a secret is to be replaced.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    /// How long what is replaced goes on signing: 0 to a week, a day by default.
    pub overlap_seconds: Option<i64>,
    /// How the new secret signs; as the old one by default.
    pub signature_scheme: Option<SignatureScheme>,
}

/// The secrets of an endpoint. Whoever has a `whsec_` one can forge events.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn secrets(cx: &Cx, webhook: Id<id::Webhook>) -> Result<Secrets> {
    cx.require(Scope::WebhooksWrite)?;
    let mut conn = cx.platform().acquire().await?;
    let keys = store::keys(&mut conn, cx.platform().vault(), cx.account(), webhook).await?;
    show(&keys.ok_or(NOT_FOUND)?, cx.now())
}

/// Replaces the secret. Until the overlap is over, calls carry a signature of each; every secret
/// replaced earlier ends then, too, if it has not ended before.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `PolicyRejected` when too many secrets sign already.
pub async fn rotate(
    cx: &Cx,
    webhook: Id<id::Webhook>,
    rotation: Rotation,
) -> Result<Created<Secrets>> {
    cx.require(Scope::WebhooksWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(rotate_faults(&rotation))?;
    let overlap = Duration::seconds(rotation.overlap_seconds.unwrap_or(OVERLAP));
    let (now, vault) = (cx.now(), cx.platform().vault());
    let mut tx = cx.begin("webhooks.rotate").await?;
    store::lock_cursor(tx.conn(), webhook).await?;
    let mut found = store::find(tx.conn(), vault, cx.account(), webhook).await?.ok_or(NOT_FOUND)?;
    let keys = store::keys(tx.conn(), vault, cx.account(), webhook).await?.ok_or(NOT_FOUND)?;
    found.signature_scheme = rotation.signature_scheme.unwrap_or(found.signature_scheme);
    found.updated_at = manage::time_of_change(cx, &found);
    let keys = replace(keys, found.signature_scheme, (now, now + overlap))?;
    store::save_keys(tx.conn(), vault, &found, &keys).await?;
    let target = webhook.to_string();
    audit::record(&mut tx, cx, "rotate_webhook_secret", Some(cx.account()), &target).await?;
    let secrets = show(&keys, now)?;
    slot.keep(&mut tx, cx, &secrets).await?;
    tx.commit().await?;
    cx.platform().webhooks().changed.notify_one();
    Ok(Created::fresh(secrets))
}

/// Every fault that [`rotate`] will find without the database.
pub fn rotate_faults(rotation: &Rotation) -> Vec<FieldError> {
    let overlap = rotation.overlap_seconds.unwrap_or(OVERLAP);
    let detail = || format!("expected 0 to {MAX_OVERLAP} seconds");
    let is_good = (0..=MAX_OVERLAP).contains(&overlap);
    let fault = (!is_good).then(|| FieldError::new("/overlap_seconds", "out_of_range", detail()));
    fault.into_iter().collect()
}

/// A new secret; those before it end when `until` says at the latest.
fn replace(
    keys: Keys,
    scheme: SignatureScheme,
    (now, until): (OffsetDateTime, OffsetDateTime),
) -> Result<Keys> {
    let mut former = vec![Former { secret: keys.current, until }];
    for mut one in keys.former {
        one.until = one.until.min(until);
        former.push(one);
    }
    former.retain(|one| one.until > now);
    if former.len() > MAX_FORMER {
        let detail =
            "too many replaced secrets still sign: wait, or replace with overlap_seconds 0";
        return Err(Error::PolicyRejected(detail.to_owned()));
    }
    Ok(Keys { current: signature::new_secret(scheme)?, former })
}

fn show(keys: &Keys, now: OffsetDateTime) -> Result<Secrets> {
    let verifier = |secret: &str| {
        signature::verifier(secret).ok_or_else(|| Error::internal("not a webhook secret"))
    };
    let secret = verifier(&keys.current)?;
    let is_hmac = keys.current == secret;
    let former = keys.former.iter().filter(|one| one.until > now);
    let former = former
        .map(|one| Ok(FormerSecret { secret: verifier(&one.secret)?, expires_at: one.until }));
    Ok(Secrets {
        secret,
        signature_scheme: if is_hmac { SignatureScheme::Hmac } else { SignatureScheme::Ed25519 },
        former: former.collect::<Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_secrets_end_with_the_overlap_and_are_few() {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let day = now + Duration::DAY;
        let new = |keys, until| replace(keys, SignatureScheme::Hmac, (now, until));
        let first = Keys { current: "a".to_owned(), former: Vec::new() };
        let mut keys = new(first, day).unwrap();
        keys.former[0].secret = "a".to_owned();
        let hour = now + Duration::HOUR;
        let twice = new(keys, hour).unwrap();
        assert_eq!(twice.former.len(), 2);
        assert!(twice.former.iter().all(|one| one.until == hour), "the shorter overlap holds");
        let at_once = new(twice, now).unwrap();
        assert!(at_once.former.is_empty());
        let mut keys = at_once;
        for _ in 0..MAX_FORMER {
            keys = new(keys, day).unwrap();
        }
        assert!(matches!(new(keys, day), Err(Error::PolicyRejected(_))));
    }
}
