//! `/v1/account/app-passwords`: passwords for single devices and programs.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, api_keys::NewApiKey, credentials::app_passwords, id,
    page::PageRequest,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{PageParams, Time};
use crate::{
    answer::{List, New},
    extract::{Caller, Create, Input, Params, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_app_passwords, create_app_password))
        .routes(routes!(get_app_password, delete_app_password))
}

/// A password for one device or program, without the password itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppPassword {
    /// Identifier.
    #[schema(value_type = String, example = "crd_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::AppPassword>,
    /// For people.
    #[schema(example = "Phone")]
    name: String,
    /// What it may do.
    #[schema(example = json!(["send", "mail:read", "mail:write"]))]
    scopes: Vec<String>,
    /// Networks it may be used from; empty: all.
    allowed_cidrs: Vec<String>,
    /// Addresses and `@domains` it may send as; empty: all of the account's.
    allowed_senders: Vec<String>,
    /// Its messages go to the sandbox, never out.
    sandbox: bool,
    /// End of its life; null: never.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
    /// Last use, to the minute.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<app_passwords::AppPassword> for AppPassword {
    fn from(one: app_passwords::AppPassword) -> Self {
        Self {
            id: one.id,
            name: one.name,
            scopes: one.scopes,
            allowed_cidrs: one.allowed_cidrs,
            allowed_senders: one.allowed_senders,
            sandbox: one.sandbox,
            expires_at: one.expires_at,
            last_used_at: one.last_used_at,
            created_at: one.created_at,
        }
    }
}

/// A new app password. It is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedAppPassword {
    /// The password; the login name is an address of the account.
    #[schema(example = "7hq2m0zxk4w9d3tprv5ncjy8")]
    password: String,
    /// What is known of it.
    #[serde(flatten)]
    app_password: AppPassword,
}

/// An app password to be made. It cannot do more than the credential that makes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAppPassword, example = json!({"name": "Phone"}))]
pub(crate) struct NewAppPasswordBody {
    /// For people, 1 to 128 octets.
    name: String,
    /// Of `send`, `mail:read` and `mail:write`; all by default.
    scopes: Option<Vec<String>>,
    /// Networks it may be used from, such as `192.0.2.0/24`; all by default.
    allowed_cidrs: Option<Vec<String>>,
    /// Addresses and `@domains` it may send as; all of the account's by default.
    allowed_senders: Option<Vec<String>>,
    /// Its messages go to the sandbox, never out.
    sandbox: Option<bool>,
    /// End of its life; never by default.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
}

impl From<NewAppPasswordBody> for NewApiKey {
    fn from(body: NewAppPasswordBody) -> Self {
        let all = || app_passwords::SCOPES.map(|scope| scope.as_str().to_owned()).to_vec();
        Self {
            name: body.name,
            account: None,
            scopes: body.scopes.unwrap_or_else(all),
            allowed_cidrs: body.allowed_cidrs.unwrap_or_default(),
            allowed_senders: body.allowed_senders.unwrap_or_default(),
            sandbox: body.sandbox.unwrap_or_default(),
            requests_per_minute: None,
            recipients_per_day: None,
            expires_at: body.expires_at.map(|time| time.0),
        }
    }
}

impl Input for NewAppPasswordBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AccountWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        app_passwords::create_faults(cx, &self.into())
    }
}

/// List app passwords
///
/// Those of the caller's account, newest first.
#[utoipa::path(get, path = "/account/app-passwords", tag = "account", params(PageParams),
    security(("api_key" = ["account:read"])),
    responses((status = 200, description = "A page of app passwords", body = List<AppPassword>)))]
async fn list_app_passwords(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<AppPassword>>> {
    Ok(List::page(app_passwords::list(&cx, &page).await?))
}

/// Create an app password
///
/// For one mail program, device or application, as SMTP credentials: with an address of the account
/// it lets in over SMTP (AUTH PLAIN, LOGIN and SCRAM-SHA-256) and HTTP Basic. The answer has the
/// password in `password`; it is never shown again. An account has at most 50.
#[utoipa::path(post, path = "/account/app-passwords", tag = "account",
    request_body = NewAppPasswordBody, security(("api_key" = ["account:write"])),
    responses((status = 201, description = "The password", body = CreatedAppPassword,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_app_password(
    Create { cx, body }: Create<NewAppPasswordBody>,
) -> ApiResult<New<CreatedAppPassword>> {
    let created = app_passwords::create(&cx, body.into()).await?;
    Ok(New::created(created, "/v1/account/app-passwords", |created| {
        let id = created.app_password.id.to_string();
        let app_password = created.app_password.into();
        (id, CreatedAppPassword { password: created.password, app_password })
    }))
}

/// Get an app password
///
/// Everything but the password itself.
#[utoipa::path(get, path = "/account/app-passwords/{id}", tag = "account",
    security(("api_key" = ["account:read"])),
    params(("id" = String, Path, description = "App password",
        example = "crd_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The app password", body = AppPassword)))]
async fn get_app_password(
    Caller(cx): Caller,
    PathId(id): PathId<id::AppPassword>,
) -> ApiResult<Json<AppPassword>> {
    Ok(Json(app_passwords::find(&cx, id).await?.into()))
}

/// Revoke an app password
///
/// The next login with it fails; who is logged in stays so until the connection ends.
#[utoipa::path(delete, path = "/account/app-passwords/{id}", tag = "account",
    security(("api_key" = ["account:write"])),
    params(("id" = String, Path, description = "App password",
        example = "crd_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_app_password(
    Caller(cx): Caller,
    PathId(id): PathId<id::AppPassword>,
) -> ApiResult<StatusCode> {
    app_passwords::delete(&cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
