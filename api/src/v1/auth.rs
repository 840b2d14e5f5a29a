//! `/v1/auth`: access tokens; and the keys that anybody may check them with.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use posthouse_core::{
    Door, Error, FieldError,
    credentials::Client,
    tokens::{self, PublicKey, Tokens},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Open, OpenInput, peer},
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// How long the keys may be kept: less than a key is published before it signs.
const KEYS_KEPT: &str = "public, max-age=300";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_token)).routes(routes!(revoke_token))
}

pub(crate) fn well_known_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show_signing_keys))
}

/// What gives a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantType {
    /// Address and password of an account.
    Password,
    /// A refresh token.
    RefreshToken,
}

/// A request for tokens: with `address` and `password`, or with `refresh_token`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenRequest, example = json!({
    "grant_type": "password", "address": "alice@example.test", "password": "correct horse battery",
}))]
pub(crate) struct TokenRequestBody {
    /// `password` or `refresh_token`.
    grant_type: GrantType,
    /// An address of the account, for `password`.
    address: Option<String>,
    /// The password of the account, for `password`; app passwords do not do.
    password: Option<String>,
    /// From the last answer, for `refresh_token`.
    refresh_token: Option<String>,
    /// Narrows what the tokens may do; by default all that the login or session may.
    scopes: Option<Vec<String>>,
}

impl TokenRequestBody {
    /// Fields that the grant needs, and those that another one does.
    fn grant_faults(&self) -> Vec<FieldError> {
        let of_password =
            [("/address", self.address.is_some()), ("/password", self.password.is_some())];
        let of_refresh = [("/refresh_token", self.refresh_token.is_some())];
        let (needed, others): (&[_], &[_]) = match self.grant_type {
            GrantType::Password => (&of_password, &of_refresh),
            GrantType::RefreshToken => (&of_refresh, &of_password),
        };
        let missing = needed.iter().filter(|(_, given)| !given).map(|(pointer, _)| {
            FieldError::new(*pointer, "missing_field", "this grant_type needs the field")
        });
        let idle = others.iter().filter(|(_, given)| *given).map(|(pointer, _)| {
            FieldError::new(*pointer, "not_for_this_grant", "another grant_type takes the field")
        });
        missing.chain(idle).collect()
    }
}

impl OpenInput for TokenRequestBody {
    fn faults(self) -> Vec<FieldError> {
        // Which fields the grant needs is asked when it is known which one it is.
        tokens::scope_faults(self.scopes.as_deref())
    }
}

/// Tokens. They are shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensBody {
    /// For `Authorization: Bearer`: a JWT.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln")]
    access_token: String,
    /// Always `Bearer`.
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    /// The access token holds for so many seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// Gives the next tokens, once.
    #[schema(example = "phr_3mJr7AoUXx2Wqd0F1c9V5k8YtGhZbNe4LwQs6TiRPoM")]
    refresh_token: String,
    /// What the access token may do, separated by spaces.
    #[schema(example = "send messages:read")]
    scope: String,
}

impl From<Tokens> for TokensBody {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
            refresh_token: tokens.refresh_token,
            scope: tokens.scopes.names().join(" "),
        }
    }
}

/// A token to be revoked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenRevocation, example = json!({
    "token": "phr_3mJr7AoUXx2Wqd0F1c9V5k8YtGhZbNe4LwQs6TiRPoM",
}))]
pub(crate) struct TokenRevocationBody {
    /// A refresh token or an access token.
    token: String,
    /// Not needed: the tokens differ.
    #[serde(rename = "token_type_hint")]
    _token_type_hint: Option<String>,
}

impl OpenInput for TokenRevocationBody {
    fn faults(self) -> Vec<FieldError> {
        Vec::new()
    }
}

/// A public key (RFC 7517, RFC 8037).
#[derive(Serialize, ToSchema)]
pub(crate) struct Jwk {
    /// Always `OKP`.
    #[schema(value_type = String, example = "OKP")]
    kty: &'static str,
    /// Always `Ed25519`.
    #[schema(value_type = String, example = "Ed25519")]
    crv: &'static str,
    /// Always `EdDSA`.
    #[schema(value_type = String, example = "EdDSA")]
    alg: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    #[schema(value_type = String, example = "sig")]
    usage: &'static str,
    /// Name of the key, in the header of tokens.
    #[schema(example = "sgk_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    kid: String,
    /// The key.
    #[schema(example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    x: String,
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        let (kty, crv, alg, usage) = ("OKP", "Ed25519", "EdDSA", "sig");
        Self { kty, crv, alg, usage, kid: key.id.to_string(), x: key.x }
    }
}

/// Public keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct JwkSet {
    /// The key that signs, the one that follows it, and those whose tokens still hold.
    keys: Vec<Jwk>,
}

/// Who comes to log in.
struct Visitor(Client<'static>, String);

impl FromRequestParts<ApiState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> ApiResult<Self> {
        let user_agent = parts.headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let remote = peer(parts);
        let mechanism = "TOKEN";
        let client = Client { door: Door::Http, remote, mechanism, tls: None, user_agent: "" };
        Ok(Self(client, user_agent.to_owned()))
    }
}

/// Get tokens
///
/// With `grant_type: password` it begins a session for the account with this address: an access
/// token that holds for 15 minutes, and a refresh token. With `grant_type: refresh_token` it goes
/// on: each refresh token holds once, and each answer has the next. One that comes again ends the
/// session, as it was stolen from one of two; only within 30 seconds it may, if the answer was lost.
/// A session that is not refreshed for 30 days is over (a setting), and so are all when the password
/// changes. Failed logins count like those at every other door.
#[utoipa::path(post, path = "/auth/token", tag = "auth", security(()),
    request_body = TokenRequestBody,
    responses((status = 200, description = "Tokens", body = TokensBody)))]
async fn create_token(
    State(state): State<ApiState>,
    Visitor(client, user_agent): Visitor,
    Open(body): Open<TokenRequestBody>,
) -> ApiResult<Json<TokensBody>> {
    let mut faults = body.grant_faults();
    faults.extend(tokens::scope_faults(body.scopes.as_deref()));
    Error::unless_empty(faults)?;
    let (platform, scopes) = (&state.platform, body.scopes.as_deref());
    let tokens = if let Some(token) = &body.refresh_token {
        tokens::by_refresh_token(platform, token, scopes).await?
    } else {
        let login = (body.address.as_deref(), body.password.as_deref());
        let login = (login.0.unwrap_or_default(), login.1.unwrap_or_default());
        let client = Client { user_agent: &user_agent, ..client };
        let tokens = tokens::by_password(platform, &client, login, scopes).await;
        note_failure(&client, &tokens);
        tokens?
    };
    Ok(Json(tokens.into()))
}

/// One line for each failure, with the address that it came from (H11).
fn note_failure(client: &Client<'_>, result: &Result<Tokens, Error>) {
    if let Err(error) = result {
        tracing::info!(
            client.address = client.remote.map(tracing::field::display),
            mechanism = client.mechanism,
            code = error.code().as_str(),
            "login failed"
        );
    }
}

/// Revoke a token
///
/// For logging out (RFC 7009): ends the session that the token belongs to, with all its tokens,
/// within a second. The answer is the same for what is no token of a session.
#[utoipa::path(post, path = "/auth/revoke", tag = "auth", security(()),
    request_body = TokenRevocationBody,
    responses((status = 200, description = "It does not hold any longer, if it did")))]
async fn revoke_token(
    State(state): State<ApiState>,
    Open(body): Open<TokenRevocationBody>,
) -> ApiResult<StatusCode> {
    tokens::revoke(&state.platform, &body.token).await?;
    Ok(StatusCode::OK)
}

/// Show the keys of access tokens
///
/// A JWK Set (RFC 7517) to check access tokens with (`EdDSA`). A new key stands here for a day
/// before it signs.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth", security(()),
    responses((status = 200, description = "The keys", body = JwkSet,
        headers(("Cache-Control" = String, description = "How long they may be kept")))))]
async fn show_signing_keys(State(state): State<ApiState>) -> ApiResult<Response> {
    let keys = tokens::published(&state.platform).await?;
    let keys = JwkSet { keys: keys.into_iter().map(Into::into).collect() };
    Ok(([(header::CACHE_CONTROL, KEYS_KEPT)], Json(keys)).into_response())
}
