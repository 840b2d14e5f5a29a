//! Tokens of an OpenID provider: they let administrators in, whose accounts are found by an address
//! in a claim.
//!
//! Discovery and keys come over the client that guards against requests into private networks, and
//! are kept: a provider that is down keeps nobody out for a day.

mod keys;
mod store;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use jsonwebtoken::{Algorithm, Validation, decode_header};
use moka::future::Cache;
use posthouse_mail::address::Address;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{
    config::{Config, Oidc},
    cx::{Actor, Credential, Door},
    error::{Error, FieldError, Result},
    http::{Client, Policy, lookup_with},
    id::{Account, Id},
    platform::Platform,
    ports::Resolver,
    scope::Scopes,
};
use keys::State;

/// Longer tokens are not even parsed.
const MOST_OCTETS: usize = 16 * 1024;
/// How far the clock of the provider may be from ours, in seconds.
const SKEW: i64 = 60;
/// Symmetric algorithms are none: the provider publishes its keys.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// The provider of the configuration, and what is known of it.
pub(crate) struct Provider {
    settings: Oidc,
    client: Client,
    state: Arc<Mutex<State>>,
    fetching: Arc<tokio::sync::Mutex<()>>,
    /// Kept for a second, as other look-ups of the hot path are.
    administrators: Cache<Id<Account>, Option<Administrator>>,
}

/// What is known of an administrator's account.
#[derive(Debug, Clone, Copy)]
struct Administrator {
    requests_per_minute: Option<i32>,
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Provider {
    /// The provider, if the configuration names one.
    pub(crate) fn new(config: &Config, resolver: &Arc<dyn Resolver>) -> Result<Option<Self>> {
        let Some(settings) = config.oidc.clone() else { return Ok(None) };
        let policy = Arc::new(Policy::new(&settings.allowed_networks)?);
        if settings.issuer.parse::<url::Url>().is_err() {
            let fault = FieldError::new("/oidc/issuer", "invalid_url", "the issuer is a URL");
            return Err(Error::InvalidInput(vec![fault]));
        }
        let administrators =
            Cache::builder().max_capacity(100).time_to_live(Duration::from_secs(1)).build();
        Ok(Some(Self {
            settings,
            client: Client::new(&policy, &lookup_with(resolver))?,
            state: Arc::default(),
            fetching: Arc::default(),
            administrators,
        }))
    }
}

/// Lets in the administrator whom a token of the provider names. Whatever is wrong with it, the
/// answer is the same.
///
/// # Errors
/// `InvalidCredentials`, `Unavailable`.
pub(crate) async fn authenticate(
    platform: &Platform,
    provider: &Provider,
    (door, remote): (Door, Option<IpAddr>),
    token: &str,
) -> Result<Actor> {
    let claims = verify(platform, provider, token).await.ok_or(Error::InvalidCredentials)?;
    let address = address(&provider.settings, &claims).ok_or(Error::InvalidCredentials)?;
    let account = account_of(platform, &address).await?.ok_or(Error::InvalidCredentials)?;
    let load = async {
        let mut conn = platform.acquire().await?;
        store::find_administrator(&mut conn, account).await
    };
    let found = provider.administrators.try_get_with(account, load).await;
    let found = found.map_err(|error: Arc<Error>| Error::unavailable(error.to_string()))?;
    let administrator = found.ok_or(Error::InvalidCredentials)?;
    Ok(Actor {
        account,
        owner: account,
        credential: Credential::Oidc,
        scopes: Scopes::all(),
        door,
        remote_address: remote,
        allowed_cidrs: Vec::new(),
        allowed_senders: Vec::new(),
        expires_at: None,
        requests_per_minute: administrator.requests_per_minute,
        key_requests_per_minute: None,
        key_recipients_per_day: None,
        sandbox: false,
    })
}

/// What a token says, if the provider has signed it for us and it holds now.
async fn verify(
    platform: &Platform,
    provider: &Provider,
    token: &str,
) -> Option<Map<String, Value>> {
    if token.len() > MOST_OCTETS {
        return None;
    }
    let header = decode_header(token).ok()?;
    if !ALGORITHMS.contains(&header.alg) || header.crit.is_some() {
        return None;
    }
    let key = provider.key(platform, &header).await?;
    let mut validation = Validation::new(header.alg);
    // Times are checked by the clock of the platform.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_audience(&[&provider.settings.audience]);
    validation.set_issuer(&[&provider.settings.issuer]);
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?.claims;
    holds(&claims, platform.now()).then_some(claims.rest)
}

fn holds(claims: &Claims, now: OffsetDateTime) -> bool {
    let now = now.unix_timestamp();
    let begun = |at: Option<i64>| at.is_none_or(|at| at <= now.saturating_add(SKEW));
    claims.exp.saturating_add(SKEW) > now && begun(claims.nbf) && begun(claims.iat)
}

/// The address of the administrator, if the claims are those of one.
fn address(settings: &Oidc, claims: &Map<String, Value>) -> Option<Address> {
    if let Some((name, value)) = &settings.required_claim {
        let claimed = claims.get(name)?;
        let has = match claimed {
            Value::Array(all) => all.iter().any(|one| one.as_str() == Some(value)),
            one => one.as_str() == Some(value),
        };
        if !has {
            return None;
        }
    }
    // At many providers people write what they like into `email`; who says nothing has not looked.
    if settings.address_claim == "email" && !is_true(claims.get("email_verified")) {
        return None;
    }
    Address::parse(claims.get(&settings.address_claim)?.as_str()?).ok()
}

/// Some providers write it as text.
fn is_true(claim: Option<&Value>) -> bool {
    claim.is_some_and(|claim| *claim == Value::Bool(true) || claim.as_str() == Some("true"))
}

/// The account that has exactly this address.
async fn account_of(platform: &Platform, address: &Address) -> Result<Option<Id<Account>>> {
    let directory = platform.directory();
    let Some(domain) = directory.domain(platform, address.domain()).await? else {
        return Ok(None);
    };
    let local = domain.rules.canonical(address.local());
    Ok(directory.exact(platform, domain.id, local).await?.map(|found| found.account))
}
