//! Looking at and revoking sessions.

use super::{Session, grant::read_refresh, jwt, store};
use crate::{
    audit,
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    page::{Keyset, Page, PageRequest},
    platform::Platform,
    scope::Scope,
};

/// Sessions of the caller's account, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<Session>> {
    cx.require(Scope::AccountRead)?;
    let keyset = Keyset::new(cx, "sessions", request)?;
    let mut conn = cx.platform().acquire().await?;
    let sessions = store::list(&mut conn, cx.account(), cx.now(), &keyset).await?;
    Ok(keyset.page(cx, sessions, |session| session.id.uuid()))
}

/// Revokes a session of the caller's account: its tokens hold no longer, within a second on every
/// node.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn delete(cx: &Cx, session: Id<id::Session>) -> Result<()> {
    cx.require(Scope::AccountWrite)?;
    let mut tx = cx.begin("tokens.delete").await?;
    if !store::delete_of(tx.conn(), cx.account(), session).await? {
        return Err(Error::NotFound("session"));
    }
    let target = session.to_string();
    audit::record(&mut tx, cx, "revoke_session", Some(cx.account()), &target).await?;
    tx.commit().await?;
    cx.platform().directory().forget_sessions();
    Ok(())
}

/// Revokes the session of a token, refresh or access token (RFC 7009): whoever has one may end what
/// it stands for. For other texts nothing is done, and nothing said.
///
/// # Errors
/// `Unavailable`.
pub async fn revoke(platform: &Platform, token: &str) -> Result<()> {
    let session = match read_refresh(token) {
        Some(hash) => {
            let mut conn = platform.acquire().await?;
            store::session_of(&mut conn, &hash).await?
        }
        None => jwt::verify(platform, token).await?.map(|claims| claims.session),
    };
    let Some(session) = session else { return Ok(()) };
    let mut conn = platform.acquire().await?;
    store::delete(&mut conn, session).await?;
    platform.directory().forget_sessions();
    Ok(())
}
