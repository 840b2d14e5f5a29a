//! Letting callers in. Doors call these and build a [`crate::Cx`] from the [`Actor`].

use std::net::IpAddr;

use aws_lc_rs::digest;
use posthouse_mail::address::Address;
use uuid::Uuid;

use super::{
    app_passwords::{self, AppPassword},
    attempts::{self, Client},
    password, store,
};
use crate::{
    api_keys,
    cx::{Actor, Credential, Door},
    error::{Error, Result},
    id::{self, Account, Id},
    platform::Platform,
    scope::Scopes,
};

/// What a server needs for SCRAM-SHA-256 (RFC 5802 §5): all passwords of an account share a salt.
#[derive(Clone)]
pub struct ScramSecret {
    account: Id<Account>,
    /// Salt.
    pub salt: Vec<u8>,
    /// Iteration count.
    pub iterations: u32,
    /// Of each password.
    pub keys: Vec<ScramKey>,
}

/// What is known of one password.
#[derive(Clone)]
pub struct ScramKey {
    /// None: the password of the account.
    pub(super) app_password: Option<Id<id::AppPassword>>,
    /// `StoredKey`.
    pub stored_key: Vec<u8>,
    /// `ServerKey`.
    pub server_key: Vec<u8>,
}

/// Lets in the holder of an API key (`phk_…`). Nobody guesses one: failures are not counted.
///
/// # Errors
/// `InvalidCredentials`, `CredentialsExpired`, `LoginDisabled`, `Unavailable`.
pub async fn authenticate_api_key(
    platform: &Platform,
    door: Door,
    key: &str,
    remote: Option<IpAddr>,
) -> Result<Actor> {
    if !key.starts_with(api_keys::PREFIX) || key.len() > 256 {
        return Err(Error::InvalidCredentials);
    }
    let mut hash = [0_u8; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
    let known = platform.directory().key(platform, hash).await?;
    let known = known.ok_or(Error::InvalidCredentials)?;
    if known.expires_at.is_some_and(|at| at <= platform.now()) {
        return Err(Error::CredentialsExpired);
    }
    if !api_keys::allowed_from(&known.allowed_cidrs, remote) {
        return Err(Error::InvalidCredentials);
    }
    if let Some(text) = &known.login_disabled {
        return Err(Error::LoginDisabled(text.clone()));
    }
    api_keys::note_use(platform, &known).await?;
    Ok(Actor {
        account: known.account,
        owner: known.account,
        credential: Credential::ApiKey(known.id),
        scopes: known.scopes,
        door,
        remote_address: remote,
        allowed_cidrs: known.allowed_cidrs.clone(),
        allowed_senders: known.allowed_senders.clone(),
        expires_at: known.expires_at,
        requests_per_minute: known.requests_per_minute,
        key_requests_per_minute: known.key_requests_per_minute,
        key_recipients_per_day: known.key_recipients_per_day,
        sandbox: known.sandbox,
    })
}

/// Lets in the owner of an address with a password of the account, its own or an app password (B14).
///
/// # Errors
/// `InvalidCredentials`, `CredentialsExpired`, `LoginDisabled`, `RateLimited`, `Unavailable`.
pub async fn authenticate_password(
    platform: &Platform,
    client: &Client<'_>,
    username: &str,
    password: &str,
) -> Result<Actor> {
    attempts::check(platform, client).await?;
    let account = login_account(platform, username).await?;
    let result = by_password(platform, client, account, password).await;
    attempts::conclude(platform, client, username, account, result).await
}

/// The same with the account's own password only; also gives what is kept of that password.
///
/// # Errors
/// `InvalidCredentials`, `LoginDisabled`, `RateLimited`, `Unavailable`.
pub(crate) async fn authenticate_own_password(
    platform: &Platform,
    client: &Client<'_>,
    username: &str,
    password: &str,
) -> Result<(Actor, String)> {
    attempts::check(platform, client).await?;
    let account = login_account(platform, username).await?;
    let result = by_own_password(platform, client, account, password).await;
    attempts::conclude(platform, client, username, account, result).await
}

async fn by_own_password(
    platform: &Platform,
    client: &Client<'_>,
    account: Option<Id<Account>>,
    password: &str,
) -> Result<(Actor, String)> {
    let account = account.unwrap_or_else(|| Uuid::nil().into());
    let mut conn = platform.acquire().await?;
    let login = store::find_login(&mut conn, account).await?;
    drop(conn);
    own_password(client, account, login, password).await
}

async fn by_password(
    platform: &Platform,
    client: &Client<'_>,
    account: Option<Id<Account>>,
    password: &str,
) -> Result<Actor> {
    // For nobody the same questions are asked.
    let account = account.unwrap_or_else(|| Uuid::nil().into());
    let mut conn = platform.acquire().await?;
    let login = store::find_login(&mut conn, account).await?;
    let hash = password::hash(password);
    let app_password = app_passwords::store::find_by_hash(&mut conn, account, &hash).await?;
    drop(conn);
    if let (Some(login), Some(app_password)) = (&login, app_password) {
        return by_app_password(platform, client, login, app_password).await;
    }
    own_password(client, account, login, password).await.map(|(actor, _)| actor)
}

async fn own_password(
    client: &Client<'_>,
    account: Id<Account>,
    login: Option<store::Login>,
    password: &str,
) -> Result<(Actor, String)> {
    let hash = login.as_ref().and_then(|login| login.argon2id.clone());
    let right = password::verify(password, hash.clone()).await?;
    match (login, hash) {
        (Some(login), Some(hash)) if right => Ok((actor(account, &login, client)?, hash)),
        _ => Err(Error::InvalidCredentials),
    }
}

async fn by_app_password(
    platform: &Platform,
    client: &Client<'_>,
    login: &store::Login,
    known: AppPassword,
) -> Result<Actor> {
    if !api_keys::allowed_from(&known.allowed_cidrs, client.remote) {
        return Err(Error::InvalidCredentials);
    }
    if known.expires_at.is_some_and(|at| at <= platform.now()) {
        return Err(Error::CredentialsExpired);
    }
    let all = actor(known.account_id, login, client)?;
    let mut conn = platform.acquire().await?;
    app_passwords::store::note_use(&mut conn, &known, platform.now()).await?;
    Ok(Actor {
        credential: Credential::AppPassword(known.id),
        scopes: all.scopes.and(Scopes::from_names(&known.scopes)),
        allowed_cidrs: known.allowed_cidrs,
        allowed_senders: known.allowed_senders,
        expires_at: known.expires_at,
        sandbox: known.sandbox,
        ..all
    })
}

fn actor(account: Id<Account>, login: &store::Login, client: &Client<'_>) -> Result<Actor> {
    if let Some(text) = &login.disabled {
        return Err(Error::LoginDisabled(text.clone()));
    }
    Ok(Actor {
        account,
        owner: account,
        credential: Credential::Password,
        scopes: Scopes::of_role(&login.role),
        door: client.door,
        remote_address: client.remote,
        allowed_cidrs: Vec::new(),
        allowed_senders: Vec::new(),
        expires_at: None,
        requests_per_minute: login.requests_per_minute,
        key_requests_per_minute: None,
        key_recipients_per_day: None,
        sandbox: false,
    })
}

/// The account that a login name stands for: any of its addresses; not the postmaster's.
async fn login_account(platform: &Platform, username: &str) -> Result<Option<Id<Account>>> {
    let Ok(address) = Address::parse(username) else {
        return Ok(None);
    };
    let Some(domain) = platform.directory().domain(platform, address.domain()).await? else {
        return Ok(None);
    };
    let local = domain.rules.canonical(address.local());
    let found = platform.directory().exact(platform, domain.id, local).await?;
    Ok(found.map(|local| local.account))
}

/// The secret for SCRAM of the account with this login name; none when there is no such account, or
/// none of its passwords. The caller then goes on with a made-up secret, so that nothing tells the
/// difference.
///
/// # Errors
/// `RateLimited`, `Unavailable`.
pub async fn scram_secret(
    platform: &Platform,
    client: &Client<'_>,
    username: &str,
) -> Result<Option<ScramSecret>> {
    attempts::check(platform, client).await?;
    let Some(account) = login_account(platform, username).await? else {
        return Ok(None);
    };
    let mut conn = platform.acquire().await?;
    let salt = app_passwords::store::salt(&mut conn, account).await?;
    let keys = store::scram_keys(&mut conn, account, platform.now()).await?;
    Ok(salt.filter(|_| !keys.is_empty()).map(|salt| ScramSecret {
        account,
        salt,
        iterations: password::ITERATIONS.get(),
        keys,
    }))
}

/// Ends an exchange of SCRAM with `secret`, none for a made-up one: lets in whoever has `proved`
/// that they know the password of the key with that index.
///
/// # Errors
/// `InvalidCredentials`, `CredentialsExpired`, `LoginDisabled`, `RateLimited`, `Unavailable`.
pub async fn conclude_scram(
    platform: &Platform,
    client: &Client<'_>,
    username: &str,
    secret: Option<&ScramSecret>,
    proved: Option<usize>,
) -> Result<Actor> {
    let key = secret.zip(proved).and_then(|(secret, index)| secret.keys.get(index));
    let account = secret.map(|secret| secret.account);
    let result = match (account, key) {
        (Some(account), Some(key)) => by_scram(platform, client, account, key).await,
        _ => Err(Error::InvalidCredentials),
    };
    attempts::conclude(platform, client, username, account, result).await
}

async fn by_scram(
    platform: &Platform,
    client: &Client<'_>,
    account: Id<Account>,
    key: &ScramKey,
) -> Result<Actor> {
    let mut conn = platform.acquire().await?;
    let login = store::find_login(&mut conn, account).await?.ok_or(Error::InvalidCredentials)?;
    let Some(id) = key.app_password else {
        return actor(account, &login, client);
    };
    let known = app_passwords::store::find(&mut conn, account, id).await?;
    drop(conn);
    let known = known.ok_or(Error::InvalidCredentials)?;
    by_app_password(platform, client, &login, known).await
}
