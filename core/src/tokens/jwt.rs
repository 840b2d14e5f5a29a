//! The access token itself: a JWT (RFC 7519, RFC 9068) signed with Ed25519, and nothing else.
//!
//! Times are checked here, by the clock of the platform; the library asks that of the machine.

use jsonwebtoken::{Algorithm, Header, Validation, decode_header};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::LIFETIME;
use crate::{
    error::{Error, Result},
    id::{Account, Id, Session},
    platform::Platform,
    scope::Scopes,
};

/// Who is to take it.
const AUDIENCE: &str = "posthouse";
/// RFC 9068 §2.1: not to be taken for another kind of JWT.
const TYPE: &str = "at+jwt";
/// Far more than one of ours has; longer ones are not even parsed.
const MOST_OCTETS: usize = 2048;
/// The clocks of nodes differ by less, in seconds.
const SKEW: i64 = 5;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: Id<Account>,
    aud: String,
    exp: i64,
    iat: i64,
    jti: String,
    scope: String,
    sid: Id<Session>,
}

/// What a token says that is ours and holds.
pub(super) struct Verified {
    pub account: Id<Account>,
    pub session: Id<Session>,
    pub scopes: Scopes,
}

/// Signs a token that holds from `now` on.
pub(super) async fn sign(
    platform: &Platform,
    (account, session): (Id<Account>, Id<Session>),
    scopes: Scopes,
    now: OffsetDateTime,
) -> Result<String> {
    let key = platform.signing_keys().signing(platform).await?;
    let claims = Claims {
        iss: platform.config().public_url(),
        sub: account,
        aud: AUDIENCE.to_owned(),
        exp: now.unix_timestamp() + i64::try_from(LIFETIME.as_secs()).unwrap_or(0),
        iat: now.unix_timestamp(),
        jti: Uuid::from(Id::<Session>::new(now)).simple().to_string(),
        scope: scopes.names().join(" "),
        sid: session,
    };
    let header = Header {
        typ: Some(TYPE.to_owned()),
        kid: Some(key.id.to_string()),
        ..Header::new(Algorithm::EdDSA)
    };
    jsonwebtoken::encode(&header, &claims, &key.private).map_err(Error::internal)
}

/// Reads a token; none: it is not ours, or does not hold now.
pub(super) async fn verify(platform: &Platform, token: &str) -> Result<Option<Verified>> {
    let Some(kid) = key_of(token) else { return Ok(None) };
    let Some(key) = platform.signing_keys().find(platform, kid).await? else { return Ok(None) };
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[platform.config().public_url()]);
    let Ok(token) = jsonwebtoken::decode::<Claims>(token, &key.public, &validation) else {
        return Ok(None);
    };
    let claims = token.claims;
    let now = platform.now().unix_timestamp();
    if now >= claims.exp || claims.iat > now + SKEW {
        return Ok(None);
    }
    let names: Vec<String> = claims.scope.split(' ').map(str::to_owned).collect();
    let scopes = Scopes::from_names(&names);
    Ok(Some(Verified { account: claims.sub, session: claims.sid, scopes }))
}

/// Whether a token names one of our keys; the signature says whether it is right in that.
pub(super) fn looks_like_ours(token: &str) -> bool {
    key_of(token).is_some()
}

/// The key that a token names, if it looks like one of ours.
fn key_of(token: &str) -> Option<Id<crate::id::SigningKey>> {
    if token.len() > MOST_OCTETS {
        return None;
    }
    let header = decode_header(token).ok()?;
    let is_ours = header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(TYPE);
    // RFC 7515 §4.1.11: an extension that is not understood is not to be passed over.
    let is_plain = header.crit.is_none();
    header.kid.filter(|_| is_ours && is_plain)?.parse().ok()
}
