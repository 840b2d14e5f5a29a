//! `/v1/accounts`: for administrators.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope,
    accounts::{self, AccountPatch, NewAccount},
    id,
    page::PageRequest,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{PageParams, present, removable};
use crate::{
    answer::{Edited, List, New},
    extract::{Caller, Change, Create, Input, Params, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_accounts, create_account)).routes(routes!(
        get_account,
        update_account,
        delete_account
    ))
}

/// An account: mailboxes, addresses, keys and messages belong to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    /// Identifier.
    #[schema(value_type = String, example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Account>,
    /// Unique name, for administrators.
    #[schema(example = "alice")]
    name: String,
    /// `user`, or `admin` for those who also run the server.
    #[schema(example = "user")]
    role: String,
    /// Name of the person or application.
    #[schema(example = "Alice Example")]
    full_name: String,
    /// Addresses that lead here; `@domain` is a catch-all.
    #[schema(example = json!(["alice@example.test"]))]
    addresses: Vec<String>,
    /// Text shown instead of letting the user in; null: login is allowed.
    login_disabled: Option<String>,
    /// How long messages stay visible after they have ended.
    #[schema(example = 2_592_000)]
    retention_seconds: i64,
    /// Most octets of mail; null: no limit.
    quota_bytes: Option<i64>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            role: account.role,
            full_name: account.full_name,
            addresses: account.addresses,
            login_disabled: account.login_disabled,
            retention_seconds: account.retention_seconds,
            quota_bytes: account.quota_bytes,
            created_at: account.created_at,
        }
    }
}

/// What an account is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Has mail.
    #[default]
    User,
    /// Also runs the server.
    Admin,
}

/// An account to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccount, example = json!({
    "name": "alice", "addresses": ["alice@example.test"], "password": "correct horse battery",
    "full_name": "Alice Example",
}))]
pub(crate) struct NewAccountBody {
    /// Unique name, 1 to 128 characters.
    name: String,
    /// Addresses, or `@domain` for a catch-all, in domains that are served here.
    addresses: Option<Vec<String>>,
    /// Password for mail programs and HTTP Basic, at least eight octets; none: only keys get in.
    password: Option<String>,
    /// Name of the person or application, at most 500 characters.
    full_name: Option<String>,
    /// `user` by default.
    #[schema(inline)]
    role: Option<Role>,
    /// How long messages stay visible after they have ended; 30 days by default.
    #[schema(minimum = 0)]
    retention_seconds: Option<i64>,
    /// Most octets of mail; none: no limit.
    #[schema(minimum = 1)]
    quota_bytes: Option<i64>,
}

impl From<NewAccountBody> for NewAccount {
    fn from(body: NewAccountBody) -> Self {
        Self {
            name: body.name,
            addresses: body.addresses.unwrap_or_default(),
            password: body.password,
            full_name: body.full_name.unwrap_or_default(),
            admin: body.role == Some(Role::Admin),
            retention_seconds: body.retention_seconds,
            quota_bytes: body.quota_bytes,
        }
    }
}

impl Input for NewAccountBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        accounts::create_faults(&self.into())
    }
}

/// Changes of an account (RFC 7396): absent fields stay, null removes.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountPatch, example = json!({"full_name": "Alice Example", "quota_bytes": null}))]
pub(crate) struct AccountPatchBody {
    /// The whole new list of addresses.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    addresses: Option<Vec<String>>,
    /// New password.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    password: Option<String>,
    /// Name of the person or application, at most 500 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    full_name: Option<String>,
    /// Text shown instead of letting the user in; null allows login again.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>)]
    login_disabled: Option<Option<String>>,
    /// How long messages stay visible after they have ended.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 0)]
    retention_seconds: Option<i64>,
    /// Most octets of mail; null lifts the limit.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<i64>, minimum = 1)]
    quota_bytes: Option<Option<i64>>,
}

impl From<AccountPatchBody> for AccountPatch {
    fn from(body: AccountPatchBody) -> Self {
        Self {
            addresses: body.addresses,
            password: body.password,
            full_name: body.full_name,
            login_disabled: body.login_disabled,
            retention_seconds: body.retention_seconds,
            quota_bytes: body.quota_bytes,
        }
    }
}

impl Input for AccountPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        accounts::update_faults(&self.into())
    }
}

/// List accounts
///
/// All accounts, newest first.
#[utoipa::path(get, path = "/accounts", tag = "accounts", params(PageParams),
    security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of accounts", body = List<Account>)))]
async fn list_accounts(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<Account>>> {
    Ok(List::page(accounts::list(&cx, &page).await?))
}

/// Create an account
///
/// With its addresses, password and first mailboxes.
#[utoipa::path(post, path = "/accounts", tag = "accounts", request_body = NewAccountBody,
    security(("api_key" = ["admin:write"])),
    responses((status = 201, description = "The account", body = Account,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_account(Create { cx, body }: Create<NewAccountBody>) -> ApiResult<New<Account>> {
    let created = accounts::create(&cx, body.into()).await?;
    Ok(New::created(created, "/v1/accounts", |account| (account.id.to_string(), account.into())))
}

/// Get an account
///
/// Any account for an administrator; else the caller's own.
#[utoipa::path(get, path = "/accounts/{id}", tag = "accounts",
    security(("api_key" = ["admin:read"]), ("api_key" = ["account:read"])),
    params(("id" = String, Path, description = "Account", example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The account", body = Account)))]
async fn get_account(
    Caller(cx): Caller,
    PathId(account): PathId<id::Account>,
) -> ApiResult<Edited<Account>> {
    Ok(Edited::of(accounts::find(&cx, account).await?))
}

/// Change an account
///
/// A JSON merge patch: absent fields stay as they are.
#[utoipa::path(patch, path = "/accounts/{id}", tag = "accounts", request_body = AccountPatchBody,
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Account", example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The account as it is now", body = Account)))]
async fn update_account(
    Change { cx, id, patch }: Change<id::Account, AccountPatchBody>,
) -> ApiResult<Edited<Account>> {
    Ok(Edited::of(accounts::update(&cx, id, patch.into()).await?))
}

/// Delete an account
///
/// With its addresses, keys and mail; what it had is erased within the hour, contents a day later.
/// Refused while messages of it wait for delivery.
#[utoipa::path(delete, path = "/accounts/{id}", tag = "accounts",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Account", example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_account(
    Caller(cx): Caller,
    PathId(account): PathId<id::Account>,
) -> ApiResult<StatusCode> {
    accounts::delete(&cx, account).await?;
    Ok(StatusCode::NO_CONTENT)
}
