//! The keys that sign access tokens. One signs for a month by default; the next is published a day
//! before it does, and the last until its tokens are over. So nobody who keeps `/.well-known/jwks.json`
//! for less than a day meets a key that they do not know.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::store;
use crate::{
    error::{Error, Result},
    id::{Id, SigningKey},
    platform::Platform,
};

/// A key is published so long before it signs.
const AHEAD: time::Duration = time::Duration::days(1);
/// A key is published so long after another has taken over: more than tokens hold, with what the
/// clocks and caches of nodes may add.
const AFTER: time::Duration = time::Duration::hours(1);
/// Keys are looked at again after this time.
const KEPT: Duration = Duration::from_mins(1);
/// For a key that is not known they are looked at again, once in this time at most.
const AGAIN: Duration = Duration::from_secs(1);

/// A public key, as a JWK (RFC 8037 §2) needs it.
pub struct PublicKey {
    /// Its name.
    pub id: Id<SigningKey>,
    /// The key, in base64url.
    pub x: String,
}

pub(super) struct Key {
    pub id: Id<SigningKey>,
    pub signs_at: OffsetDateTime,
    pub private: EncodingKey,
    pub public: DecodingKey,
    x: String,
}

impl Key {
    pub(super) fn new(
        id: Id<SigningKey>,
        signs_at: OffsetDateTime,
        public: &[u8],
        pkcs8: &[u8],
    ) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public);
        let (private, public) = (EncodingKey::from_ed_der(pkcs8), DecodingKey::from_ed_der(public));
        Self { id, signs_at, private, public, x }
    }
}

/// A key that was just made.
pub(super) struct NewKey {
    pub id: Id<SigningKey>,
    pub public: Vec<u8>,
    pub pkcs8: Vec<u8>,
    pub created_at: OffsetDateTime,
    pub signs_at: OffsetDateTime,
}

impl NewKey {
    fn generate(now: OffsetDateTime, signs_at: OffsetDateTime) -> Result<Self> {
        let pkcs8 =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(Error::internal)?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(Error::internal)?;
        let (public, pkcs8) = (pair.public_key().as_ref().to_vec(), pkcs8.as_ref().to_vec());
        Ok(Self { id: Id::new(now), public, pkcs8, created_at: now, signs_at })
    }
}

/// Keys as they were found.
struct Known {
    keys: Vec<Arc<Key>>,
    at: Instant,
}

/// What this node knows of the keys.
#[derive(Default)]
pub(crate) struct SigningKeys(Mutex<Option<Known>>);

impl SigningKeys {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Looks them up the next time.
    async fn forget(&self) {
        *self.0.lock().await = None;
    }

    /// All keys; looked up when what is known is older than `age`.
    async fn all(&self, platform: &Platform, age: Duration) -> Result<Vec<Arc<Key>>> {
        let mut known = self.0.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < age) {
            return Ok(known.keys.clone());
        }
        let mut conn = platform.acquire().await?;
        let keys = store::keys(&mut conn, platform.vault()).await?;
        let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        *known = Some(Known { keys: keys.clone(), at: Instant::now() });
        Ok(keys)
    }

    /// The key that signs now; the first one is made when there is none.
    pub(super) async fn signing(&self, platform: &Platform) -> Result<Arc<Key>> {
        if let Some(key) = newest(&self.all(platform, KEPT).await?, platform.now()) {
            return Ok(key);
        }
        rotate(platform).await?;
        let key = newest(&self.all(platform, KEPT).await?, platform.now());
        key.ok_or_else(|| Error::internal("no key signs access tokens"))
    }

    /// The key of this name.
    pub(super) async fn find(
        &self,
        platform: &Platform,
        id: Id<SigningKey>,
    ) -> Result<Option<Arc<Key>>> {
        for age in [KEPT, AGAIN] {
            let keys = self.all(platform, age).await?;
            if let Some(key) = keys.into_iter().find(|key| key.id == id) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

/// The key whose turn it is.
fn newest(keys: &[Arc<Key>], now: OffsetDateTime) -> Option<Arc<Key>> {
    let begun = keys.iter().filter(|key| key.signs_at <= now);
    begun.max_by_key(|key| key.signs_at).cloned()
}

/// Public keys that anybody may check access tokens with, the newest first.
///
/// # Errors
/// `Unavailable`.
pub async fn published(platform: &Platform) -> Result<Vec<PublicKey>> {
    let keys = platform.signing_keys().all(platform, AGAIN).await?;
    Ok(keys.iter().map(|key| PublicKey { id: key.id, x: key.x.clone() }).collect())
}

/// Makes the next key when it is time, and forgets keys whose tokens are over. Several nodes may do
/// this at once: they take turns.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn rotate(platform: &Platform) -> Result<()> {
    let now = platform.now();
    let period = time::Duration::try_from(platform.config().tokens.signing_key_period);
    let mut tx = platform.begin("tokens.rotate").await?;
    store::lock_keys(tx.conn()).await?;
    let newest = store::newest_key(tx.conn()).await?;
    if let Some(signs_at) = next(newest, now, period.map_err(Error::internal)?) {
        let key = NewKey::generate(now, signs_at)?;
        store::insert_key(tx.conn(), platform.vault(), &key).await?;
        tracing::info!(key.id = %key.id, "made the next key that signs access tokens");
    }
    store::delete_keys_replaced_before(tx.conn(), now - AFTER).await?;
    tx.commit().await?;
    platform.signing_keys().forget().await;
    Ok(())
}

/// When a key that is made now begins to sign, none: it is not time to make one. The newest there
/// is begins, or began, to sign at `newest`.
fn next(
    newest: Option<OffsetDateTime>,
    now: OffsetDateTime,
    period: time::Duration,
) -> Option<OffsetDateTime> {
    match newest {
        None => Some(now),
        Some(newest) if now < newest + period - AHEAD => None,
        Some(newest) => Some((newest + period).max(now + AHEAD)),
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const BEGIN: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);
    const PERIOD: Duration = Duration::days(30);

    #[test]
    fn the_next_key_is_made_a_day_before_it_signs_however_late_that_is() {
        let next = |newest, after| next(newest, BEGIN + after, PERIOD).map(|at| at - BEGIN);
        assert_eq!(next(None, Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(next(Some(BEGIN), Duration::days(29) - Duration::SECOND), None);
        assert_eq!(next(Some(BEGIN), Duration::days(29)), Some(Duration::days(30)));
        // One that is made already is not made again.
        assert_eq!(next(Some(BEGIN + PERIOD), Duration::days(29)), None);
        // A server that slept over it publishes the key first all the same.
        assert_eq!(next(Some(BEGIN), Duration::days(50)), Some(Duration::days(51)));
    }
}
