//! From what a caller shows to an [`Actor`].

use std::net::IpAddr;

use aws_lc_rs::digest;
use posthouse_mail::address::Address;

use super::{password, store};
use crate::{
    api_keys,
    cx::{Actor, Credential, Door},
    error::{Error, Result},
    id::{Account, Id},
    platform::Platform,
    scope::Scopes,
};

/// What a server needs for SCRAM-SHA-256 (RFC 5802 §5).
#[derive(Clone)]
pub struct ScramSecret {
    /// Whose it is.
    pub account: Id<Account>,
    /// Salt.
    pub salt: Vec<u8>,
    /// Iteration count.
    pub iterations: u32,
    /// `StoredKey`.
    pub stored_key: Vec<u8>,
    /// `ServerKey`.
    pub server_key: Vec<u8>,
}

/// Lets in the holder of an API key (`phk_…`).
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
    Ok(Actor {
        account: known.account,
        credential: Credential::ApiKey(known.id),
        scopes: known.scopes,
        door,
        remote_address: remote,
        allowed_senders: known.allowed_senders.clone(),
        sandbox: known.sandbox,
    })
}

/// Lets in the owner of an address with the account's password (B14).
///
/// # Errors
/// `InvalidCredentials`, `LoginDisabled`, `RateLimited`, `Unavailable`.
pub async fn authenticate_password(
    platform: &Platform,
    door: Door,
    username: &str,
    password: &str,
    remote: Option<IpAddr>,
) -> Result<Actor> {
    platform.throttle().check(remote)?;
    let account = login_account(platform, username).await?;
    let login = match account {
        Some(account) => {
            let mut conn = platform.acquire().await?;
            store::find_login(&mut conn, account).await?
        }
        None => None,
    };
    let hash = login.as_ref().and_then(|login| login.argon2id.clone());
    let right = password::verify(password, hash).await?;
    let (Some(account), Some(login), true) = (account, login, right) else {
        platform.throttle().failed(remote);
        return Err(Error::InvalidCredentials);
    };
    platform.throttle().succeeded(remote);
    actor(account, &login, door, remote)
}

fn actor(
    account: Id<Account>,
    login: &store::Login,
    door: Door,
    remote: Option<IpAddr>,
) -> Result<Actor> {
    if let Some(text) = &login.disabled {
        return Err(Error::LoginDisabled(text.clone()));
    }
    let scopes = if login.role == "admin" { Scopes::all() } else { Scopes::user() };
    Ok(Actor {
        account,
        credential: Credential::Password,
        scopes,
        door,
        remote_address: remote,
        allowed_senders: Vec::new(),
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

/// The secret for SCRAM of the account with this login name; none when there is no such account.
/// The caller then goes on with a made-up secret, so that nothing tells the difference.
///
/// # Errors
/// `RateLimited`, `Unavailable`.
pub async fn scram_secret(
    platform: &Platform,
    username: &str,
    remote: Option<IpAddr>,
) -> Result<Option<ScramSecret>> {
    platform.throttle().check(remote)?;
    let Some(account) = login_account(platform, username).await? else {
        return Ok(None);
    };
    let mut conn = platform.acquire().await?;
    store::find_scram(&mut conn, account).await
}

/// Lets in an account that has proved by SCRAM that it knows the password.
///
/// # Errors
/// `InvalidCredentials`, `LoginDisabled`, `Unavailable`.
pub async fn scram_succeeded(
    platform: &Platform,
    door: Door,
    account: Id<Account>,
    remote: Option<IpAddr>,
) -> Result<Actor> {
    let mut conn = platform.acquire().await?;
    let login = store::find_login(&mut conn, account).await?.ok_or(Error::InvalidCredentials)?;
    platform.throttle().succeeded(remote);
    actor(account, &login, door, remote)
}

/// Counts a failed SCRAM exchange.
pub fn scram_failed(platform: &Platform, remote: Option<IpAddr>) {
    platform.throttle().failed(remote);
}
