//! Letting in whoever shows a bearer token (RFC 6750): an API key or an access token.

use std::net::IpAddr;

use super::jwt;
use crate::{
    api_keys,
    credentials::authenticate_api_key,
    cx::{Actor, Credential, Door},
    error::{Error, Result},
    oidc,
    platform::Platform,
};

/// Lets in the holder of an API key or access token. Nobody guesses one: failures are not counted.
/// Whatever is wrong with an access token, the answer is the same.
///
/// # Errors
/// `InvalidCredentials`, `CredentialsExpired`, `LoginDisabled`, `Unavailable`.
pub async fn authenticate_bearer(
    platform: &Platform,
    door: Door,
    token: &str,
    remote: Option<IpAddr>,
) -> Result<Actor> {
    if token.starts_with(api_keys::PREFIX) {
        return authenticate_api_key(platform, door, token, remote).await;
    }
    if let Some(provider) = platform.provider()
        && !jwt::looks_like_ours(token)
    {
        let client = (door, remote);
        return oidc::authenticate(platform, provider, client, token).await;
    }
    let claims = jwt::verify(platform, token).await?.ok_or(Error::InvalidCredentials)?;
    let session = platform.directory().session(platform, claims.session).await?;
    let holds = |session: &&_| is_good(session, &claims, platform);
    let session = session.as_deref().filter(holds).ok_or(Error::InvalidCredentials)?;
    Ok(Actor {
        account: session.account,
        owner: session.account,
        credential: Credential::Session(claims.session),
        scopes: session.scopes.and(claims.scopes),
        door,
        remote_address: remote,
        allowed_cidrs: Vec::new(),
        allowed_senders: Vec::new(),
        // The session stands for somebody who knows the password: what that may make, it may.
        expires_at: None,
        requests_per_minute: session.requests_per_minute,
        key_requests_per_minute: None,
        key_recipients_per_day: None,
        sandbox: false,
    })
}

fn is_good(session: &super::SessionInfo, claims: &jwt::Verified, platform: &Platform) -> bool {
    session.account == claims.account && session.expires_at > platform.now()
}
