//! The keys of the provider: fetched when they are needed, kept, and looked at again now and then.

use std::sync::{Arc, MutexGuard, PoisonError};

use jsonwebtoken::{
    Algorithm, DecodingKey, Header,
    jwk::{Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use url::Url;

use super::Provider;
use crate::platform::Platform;

/// Keys are looked at again after this time.
const FRESH: Duration = Duration::hours(1);
/// Keys of a provider that does not answer are good for so long.
const GOOD: Duration = Duration::hours(24);
/// The provider is asked once in this time at most, whatever keys tokens name.
const AGAIN: Duration = Duration::minutes(1);
/// Most keys of a provider.
const MOST_KEYS: usize = 100;

/// What is known of the keys.
#[derive(Default)]
pub(super) struct State {
    keys: Arc<[Jwk]>,
    fetched_at: Option<OffsetDateTime>,
    tried_at: Option<OffsetDateTime>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Provider {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that a token names, of the kind that its algorithm needs.
    pub(super) async fn key(&self, platform: &Platform, header: &Header) -> Option<DecodingKey> {
        let now = platform.now();
        let (found, age) = self.known(header, now);
        if let Some(key) = found {
            if age > FRESH {
                look_again(platform, now);
            }
            return Some(key);
        }
        self.fetch(now).await;
        self.known(header, now).0
    }

    /// The key, unless it is too old, and the age of all.
    fn known(&self, header: &Header, now: OffsetDateTime) -> (Option<DecodingKey>, Duration) {
        let state = self.state();
        let age = state.fetched_at.map_or(Duration::MAX, |at| now - at);
        let keys = Arc::clone(&state.keys);
        drop(state);
        let key = keys.iter().find(|key| fits(key, header)).filter(|_| age <= GOOD);
        (key.and_then(|key| DecodingKey::from_jwk(key).ok()), age)
    }

    /// Whether it is time to ask the provider; who hears so asks.
    fn may_ask(&self, now: OffsetDateTime) -> bool {
        let mut state = self.state();
        let may = state.tried_at.is_none_or(|at| now - at >= AGAIN);
        if may {
            state.tried_at = Some(now);
        }
        may
    }

    /// Fetches the keys, if it is time; others wait for who does.
    async fn fetch(&self, now: OffsetDateTime) {
        let _turn = self.fetching.lock().await;
        if !self.may_ask(now) {
            return;
        }
        match self.ask().await {
            Ok(keys) => {
                let mut state = self.state();
                state.keys = keys.into();
                state.fetched_at = Some(now);
            }
            Err(error) => {
                let issuer = &self.settings.issuer;
                tracing::warn!(issuer, error, "the keys of the OpenID provider cannot be fetched");
            }
        }
    }

    /// OpenID Connect Discovery 1.0 §4.
    async fn ask(&self) -> Result<Vec<Jwk>, String> {
        let issuer = self.settings.issuer.trim_end_matches('/');
        let place = format!("{issuer}/.well-known/openid-configuration");
        let place: Url = place.parse().map_err(|_| "the issuer is no URL".to_owned())?;
        let found = self.client.get(&place).await?;
        let found: Discovery = serde_json::from_slice(&found)
            .map_err(|error| format!("the discovery document cannot be read: {error}"))?;
        if found.issuer != self.settings.issuer {
            return Err("the discovery document is of another issuer".to_owned());
        }
        if found.jwks_uri.scheme() != place.scheme() {
            return Err("jwks_uri has another scheme than the issuer".to_owned());
        }
        let keys = self.client.get(&found.jwks_uri).await?;
        let keys: KeySet = serde_json::from_slice(&keys)
            .map_err(|error| format!("the keys cannot be read: {error}"))?;
        // Keys of kinds that are not known here are none of our business.
        let keys = keys.keys.into_iter().take(MOST_KEYS);
        Ok(keys.filter_map(|key| serde_json::from_value(key).ok()).collect())
    }
}

/// Fetches the keys while nobody waits for it.
fn look_again(platform: &Platform, now: OffsetDateTime) {
    let platform = platform.clone();
    tokio::spawn(async move {
        if let Some(provider) = platform.provider() {
            provider.fetch(now).await;
        }
    });
}

/// Whether a key is the one that a token names, and is there to sign with its algorithm.
fn fits(key: &Jwk, header: &Header) -> bool {
    let common = &key.common;
    let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let algorithm = common.key_algorithm.map(|algorithm| algorithm.to_string());
    let name = match header.alg {
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        _ => "EdDSA",
    };
    let named = common.key_id.is_some() && common.key_id == header.kid;
    named && signs && algorithm.is_none_or(|algorithm| algorithm == name)
}
