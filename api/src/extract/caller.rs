//! Who calls: API key (RFC 6750 Bearer) or address and password (RFC 7617 Basic).

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthouse_core::{
    Actor, Cx, Door, Error, Id, Platform, credentials,
    id::{Account, Request},
};

use crate::{
    extract::RequestId,
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// Header field in which an administrator names the account to act for.
const ACT_FOR: &str = "posthouse-account";

/// Somebody who was let in, as the context of one operation.
pub(crate) struct Caller(pub Cx);

impl FromRequestParts<ApiState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let actor = authenticate(&state.platform, &parts.headers, peer(parts)).await?;
        tracing::Span::current().record("account.id", tracing::field::display(actor.account));
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0);
        let request_id = request_id.unwrap_or_else(|| Id::<Request>::new(state.platform.now()));
        let cx = Cx::new(state.platform.clone(), actor, request_id);
        let Some(account) = parts.headers.get(ACT_FOR) else {
            return Ok(Self(cx));
        };
        let account = account.to_str().ok().and_then(|text| text.parse::<Id<Account>>().ok());
        let account = account.ok_or_else(|| Problem::not_found("account"))?;
        if account == cx.account() {
            return Ok(Self(cx));
        }
        Ok(Self(cx.acting_for(account).await?))
    }
}

/// Address of the client.
pub(crate) fn peer(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|peer| peer.0.ip().to_canonical())
}

/// Lets in whoever the header field Authorization names.
pub(crate) async fn authenticate(
    platform: &Platform,
    headers: &HeaderMap,
    remote: Option<IpAddr>,
) -> Result<Actor, Error> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let field = fields.next().ok_or(Error::Unauthenticated)?;
    let text = field.to_str().map_err(|_| Error::InvalidCredentials)?;
    if fields.next().is_some() {
        return Err(Error::InvalidCredentials);
    }
    let (scheme, secret) = text.split_once(' ').ok_or(Error::InvalidCredentials)?;
    let secret = secret.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return credentials::authenticate_api_key(platform, Door::Http, secret, remote).await;
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Error::InvalidCredentials);
    }
    let (user, password) = basic(secret).ok_or(Error::InvalidCredentials)?;
    credentials::authenticate_password(platform, Door::Http, &user, &password, remote).await
}

/// RFC 7617 §2: `user-id ":" password` in base64, UTF-8.
fn basic(secret: &str) -> Option<(String, String)> {
    let plain = String::from_utf8(STANDARD.decode(secret).ok()?).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::basic;

    #[test]
    fn passwords_may_have_colons() {
        let (user, password) = basic("YUBiLmM6cDp3").unwrap();
        assert_eq!((user.as_str(), password.as_str()), ("a@b.c", "p:w"));
        assert_eq!(basic("!"), None);
        assert_eq!(basic("YWJj"), None);
    }
}
