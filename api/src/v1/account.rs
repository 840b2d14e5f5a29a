//! `/v1/account`: the caller's own account, its password and who tried to log in.

use axum::{Json, http::StatusCode};
use posthouse_core::{Cx, Error, FieldError, Scope, accounts, credentials, page::PageRequest};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    accounts::Account,
    fields::{PageParams, present},
};
use crate::{
    answer::{Edited, List},
    extract::{Caller, Create, Input, Params},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_own_account, update_own_account))
        .routes(routes!(change_password))
        .routes(routes!(list_login_attempts))
}

/// Changes of one's own account (RFC 7396): absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnAccountPatch, example = json!({"full_name": "Alice Example"}))]
pub(crate) struct OwnAccountPatchBody {
    /// Name of the person or application, at most 500 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    full_name: Option<String>,
}

impl Input for OwnAccountPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AccountWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        accounts::update_faults(&accounts::AccountPatch {
            full_name: self.full_name,
            ..accounts::AccountPatch::default()
        })
    }
}

/// A new password, and the present one as proof.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordChange, example = json!({
    "current_password": "correct horse battery", "new_password": "staple of batteries",
}))]
pub(crate) struct PasswordChangeBody {
    /// The password of the account, not an app password.
    current_password: String,
    /// At least eight octets.
    new_password: String,
}

impl Input for PasswordChangeBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AccountWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        credentials::change_password_faults(&self.new_password)
    }
}

/// Attempts to log in with a password that look alike.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoginAttempt {
    /// Name that was given.
    #[schema(example = "alice@example.test")]
    login: String,
    /// Where the client was.
    #[schema(example = "192.0.2.7")]
    remote_address: String,
    /// Version and cipher suite; null: not known, as behind a proxy.
    #[schema(example = "TLSv1.3 TLS13_AES_256_GCM_SHA384")]
    tls: Option<String>,
    /// What the client said of itself: User-Agent, or the name in EHLO.
    user_agent: String,
    /// `http` or `smtp`.
    #[schema(example = "smtp")]
    door: String,
    /// How the password was shown.
    #[schema(example = "SCRAM-SHA-256")]
    mechanism: String,
    /// `ok`, or the code of the error, such as `invalid_credentials` or `rate_limited`.
    #[schema(example = "ok")]
    result: String,
    /// How many there were.
    #[schema(example = 1)]
    count: i64,
    /// The first.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    first_at: OffsetDateTime,
    /// The last.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    last_at: OffsetDateTime,
}

impl From<credentials::LoginAttempt> for LoginAttempt {
    fn from(attempt: credentials::LoginAttempt) -> Self {
        Self {
            login: attempt.login,
            remote_address: attempt.remote_address,
            tls: attempt.tls,
            user_agent: attempt.user_agent,
            door: attempt.door,
            mechanism: attempt.mechanism,
            result: attempt.result,
            count: attempt.count,
            first_at: attempt.first_at,
            last_at: attempt.last_at,
        }
    }
}

/// Get one's own account
///
/// The account of the credential, or the one that an administrator acts for.
#[utoipa::path(get, path = "/account", tag = "account",
    security(("api_key" = ["account:read"]), ("api_key" = ["admin:read"])),
    responses((status = 200, description = "The account", body = Account)))]
async fn get_own_account(Caller(cx): Caller) -> ApiResult<Edited<Account>> {
    Ok(Edited::of(accounts::find(&cx, cx.account()).await?))
}

/// Change one's own account
///
/// A JSON merge patch of what its owner may change. The rest is at `/v1/accounts/{id}`, for
/// administrators.
#[utoipa::path(patch, path = "/account", tag = "account", request_body = OwnAccountPatchBody,
    security(("api_key" = ["account:write"])),
    responses((status = 200, description = "The account as it is now", body = Account)))]
async fn update_own_account(
    Create { cx, body }: Create<OwnAccountPatchBody>,
) -> ApiResult<Edited<Account>> {
    Ok(Edited::of(accounts::update_own(&cx, body.full_name).await?))
}

/// Change the password
///
/// The present password is to be shown, whatever the credential; a wrong one counts as a failed
/// login. API keys and app passwords go on working: delete those that should not.
#[utoipa::path(post, path = "/account/password", tag = "account",
    request_body = PasswordChangeBody, security(("api_key" = ["account:write"])),
    responses((status = 204, description = "The new password lets in from now on")))]
async fn change_password(Create { cx, body }: Create<PasswordChangeBody>) -> ApiResult<StatusCode> {
    credentials::change_password(&cx, &body.current_password, &body.new_password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List login attempts
///
/// Attempts to log in to the account with a password, successful or not, at all doors, of the last
/// 30 days; those that look alike are one, the last first. Uses of API keys are not among them: see
/// `last_used_at` of the key.
#[utoipa::path(get, path = "/account/login-attempts", tag = "account", params(PageParams),
    security(("api_key" = ["account:read"])),
    responses((status = 200, description = "A page of attempts", body = List<LoginAttempt>)))]
async fn list_login_attempts(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<LoginAttempt>>> {
    Ok(List::page(credentials::list_attempts(&cx, &page).await?))
}
