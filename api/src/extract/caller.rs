//! Who calls: API key or access token (RFC 6750 Bearer) or address and password (RFC 7617 Basic).

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthouse_core::{
    Actor, Cx, Door, Error, Id, Platform,
    credentials::{self, Client},
    id::{Account, Request},
    limits, tokens,
};

use crate::{
    extract::{AllowanceNote, RequestId},
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
        take_request(parts, state, &actor).await?;
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0);
        let request_id = request_id.unwrap_or_else(|| Id::<Request>::new(state.platform.now()));
        let cx = Cx::new(state.platform.clone(), actor, request_id)
            .with_if_match(if_match(&parts.headers));
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

/// Counts the request for the credential and its account, and refuses it when it is one too many.
async fn take_request(parts: &Parts, state: &ApiState, actor: &Actor) -> Result<(), Error> {
    let allowances = limits::take_request(&state.platform, actor).await?;
    if let Some(note) = parts.extensions.get::<AllowanceNote>() {
        note.set(allowances);
    }
    match allowances.exceeded() {
        Some(allowance) => Err(Error::RateLimited { retry_after: allowance.reset }),
        None => Ok(()),
    }
}

/// Header field `If-Match` (RFC 9110 §13.1.1): the versions that the caller knows; none: any. Weak
/// ones, and what is no tag, match nothing.
fn if_match(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut fields = headers.get_all(header::IF_MATCH).iter().peekable();
    fields.peek()?;
    let texts = fields.filter_map(|field| field.to_str().ok());
    let tags = texts.flat_map(|text| text.split(',')).map(str::trim);
    let version = |tag: &str| match tag {
        "*" => Some(tag.to_owned()),
        _ => Some(tag.strip_prefix('"')?.strip_suffix('"')?.to_owned()),
    };
    Some(tags.filter_map(version).filter(|version| !version.is_empty()).collect())
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
        return tokens::authenticate_bearer(platform, Door::Http, secret, remote).await;
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Error::InvalidCredentials);
    }
    let (user, password) = basic(secret).ok_or(Error::InvalidCredentials)?;
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let client = Client {
        door: Door::Http,
        remote,
        mechanism: "BASIC",
        tls: None,
        user_agent: user_agent.unwrap_or_default(),
    };
    let result = credentials::authenticate_password(platform, &client, &user, &password).await;
    if let Err(error) = &result {
        // One line for each failure, with the address that it came from (H11).
        tracing::info!(
            client.address = remote.map(tracing::field::display),
            mechanism = "BASIC",
            code = error.code().as_str(),
            "login failed"
        );
    }
    result
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
