//! What gives tokens: a password, or a refresh token that was not used yet.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngCore as _;

use super::{LIFETIME, Session, jwt, store};
use crate::{
    credentials::{Client, authenticate_own_password},
    error::{Error, FieldError, Result},
    id::Id,
    platform::Platform,
    scope::{Scope, Scopes},
};

/// What every refresh token begins with.
const PREFIX: &str = "phr_";
/// Most sessions of an account; the oldest goes when there is one more (J7).
const MOST_SESSIONS: i64 = 100;
/// Most characters of what a client says of itself.
const MOST_TEXT: usize = 255;
/// A refresh token may come again so soon: the answer to it was lost. What it gave is void then.
const GRACE: time::Duration = time::Duration::seconds(30);

/// What a client gets.
pub struct Tokens {
    /// Lets in until it expires.
    pub access_token: String,
    /// Gives new ones, once.
    pub refresh_token: String,
    /// How long the access token holds.
    pub expires_in: Duration,
    /// What the access token may do.
    pub scopes: Scopes,
}

/// A refresh token that was just made.
struct Refresh {
    text: String,
    hash: Vec<u8>,
}

impl Refresh {
    fn new() -> Self {
        let mut bytes = [0_u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let hash = hash(&text);
        Self { text, hash }
    }
}

fn hash(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

/// SHA-256 of what looks like a refresh token.
pub(super) fn read_refresh(token: &str) -> Option<Vec<u8>> {
    let good = token.starts_with(PREFIX) && token.len() < 64;
    good.then(|| hash(token))
}

/// Begins a session for whoever knows the password of the account with this address; an app
/// password does not do: it is bound. `wanted` narrows what the session may do.
///
/// # Errors
/// `InvalidInput`, `InvalidCredentials`, `LoginDisabled`, `RateLimited`, `Unavailable`.
pub async fn by_password(
    platform: &Platform,
    client: &Client<'_>,
    (address, password): (&str, &str),
    wanted: Option<&[String]>,
) -> Result<Tokens> {
    Error::unless_empty(scope_faults(wanted))?;
    let (actor, verified) = authenticate_own_password(platform, client, address, password).await?;
    let scopes = narrow(actor.scopes, wanted)?;
    let now = platform.now();
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).take(MOST_TEXT).collect();
    let session = Session {
        id: Id::new(now),
        account_id: actor.account,
        scopes: scopes.names(),
        user_agent: clean(client.user_agent),
        remote_address: client.remote.map(|remote| remote.to_string()).unwrap_or_default(),
        created_at: now,
        refreshed_at: now,
        expires_at: now + platform.config().tokens.session_lifetime,
    };
    let refresh = Refresh::new();
    let mut tx = platform.begin("tokens.by_password").await?;
    if !store::lock_login(tx.conn(), actor.account, &verified).await? {
        // It was changed, or login disabled, while it was checked.
        return Err(Error::InvalidCredentials);
    }
    store::insert(tx.conn(), &session, &refresh.hash).await?;
    store::delete_oldest(tx.conn(), actor.account, MOST_SESSIONS).await?;
    tx.commit().await?;
    give(platform, &session, scopes, refresh).await
}

/// Gives new tokens for a refresh token. One that was used before, other than just now, tells of a
/// theft: the session ends, whoever has its tokens. `wanted` narrows the access token.
///
/// # Errors
/// `InvalidInput`, `InvalidCredentials`, `Unavailable`.
pub async fn by_refresh_token(
    platform: &Platform,
    token: &str,
    wanted: Option<&[String]>,
) -> Result<Tokens> {
    Error::unless_empty(scope_faults(wanted))?;
    let shown = read_refresh(token).ok_or(Error::InvalidCredentials)?;
    let now = platform.now();
    let mut tx = platform.begin("tokens.by_refresh_token").await?;
    let id = store::session_of(tx.conn(), &shown).await?.ok_or(Error::InvalidCredentials)?;
    let found = store::lock(tx.conn(), id).await?;
    let mut found = found.filter(|found| found.session.expires_at > now);
    let found = found.as_mut().ok_or(Error::InvalidCredentials)?;
    let is_again =
        found.former_hash.as_ref() == Some(&shown) && now - found.session.refreshed_at <= GRACE;
    if found.refresh_hash != shown && !is_again {
        store::delete(tx.conn(), id).await?;
        tx.commit().await?;
        platform.directory().forget_sessions();
        tracing::warn!(
            session.id = %id,
            account.id = %found.session.account_id,
            "a refresh token was used a second time: its session is revoked"
        );
        return Err(Error::InvalidCredentials);
    }
    let scopes = narrow(found.scopes, wanted)?;
    let refresh = Refresh::new();
    if !is_again {
        // Else the time of the first use stays: the grace does not begin anew.
        found.session.refreshed_at = now;
    }
    found.session.expires_at = now + platform.config().tokens.session_lifetime;
    store::refresh(tx.conn(), &found.session, &shown, &refresh.hash).await?;
    tx.commit().await?;
    give(platform, &found.session, scopes, refresh).await
}

async fn give(
    platform: &Platform,
    session: &Session,
    scopes: Scopes,
    refresh: Refresh,
) -> Result<Tokens> {
    let (of, now) = ((session.account_id, session.id), platform.now());
    let access_token = jwt::sign(platform, of, scopes, now).await?;
    Ok(Tokens { access_token, refresh_token: refresh.text, expires_in: LIFETIME, scopes })
}

/// The scopes that are wanted of `all`; without a wish all.
fn narrow(all: Scopes, wanted: Option<&[String]>) -> Result<Scopes> {
    let Some(wanted) = wanted else { return Ok(all) };
    let mut faults = Vec::new();
    for (index, name) in wanted.iter().enumerate() {
        if name.parse::<Scope>().is_ok_and(|scope| !all.has(scope)) {
            let detail = "this login or session does not have the scope";
            faults.push(FieldError::new(format!("/scopes/{index}"), "scope_not_allowed", detail));
        }
    }
    Error::unless_empty(faults)?;
    Ok(Scopes::from_names(wanted))
}

/// Every fault of `scopes` that is known without the database.
pub fn scope_faults(wanted: Option<&[String]>) -> Vec<FieldError> {
    let wanted = wanted.unwrap_or_default().iter().enumerate();
    let unknown = wanted.filter_map(|(index, name)| {
        let detail = name.parse::<Scope>().err()?;
        Some(FieldError::new(format!("/scopes/{index}"), "unknown_scope", detail))
    });
    unknown.collect()
}
