//! `/v1/api-keys`: keys of the caller's account; for administrators those of all accounts.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id,
    api_keys::{self, ApiKeyPatch, NewApiKey},
    id,
    page::PageRequest,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{PageParams, Time, present, removable};
use crate::{
    answer::{Edited, List, New},
    extract::{Caller, Change, Create, Input, Params, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_api_keys, create_api_key)).routes(routes!(
        get_api_key,
        update_api_key,
        delete_api_key
    ))
}

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKey {
    /// Identifier.
    #[schema(value_type = String, example = "key_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::ApiKey>,
    /// Whose key it is.
    #[schema(value_type = String, example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    account_id: Id<id::Account>,
    /// For people.
    #[schema(example = "ci")]
    name: String,
    /// First characters of the key, to tell keys apart.
    #[schema(example = "phk_Xa93bQ")]
    hint: String,
    /// What it may do.
    #[schema(example = json!(["send", "messages:read"]))]
    scopes: Vec<String>,
    /// Networks it may be used from; empty: all.
    allowed_cidrs: Vec<String>,
    /// Addresses and `@domains` it may send as; empty: all of the account's.
    allowed_senders: Vec<String>,
    /// Its messages go to the sandbox, never out.
    sandbox: bool,
    /// Most requests with it in a minute, beside the limit of its account; null: no limit.
    #[schema(example = 600)]
    requests_per_minute: Option<i32>,
    /// Most recipients of messages with it in 24 hours, beside the limit of its account; null: no
    /// limit.
    #[schema(example = 10_000)]
    recipients_per_day: Option<i64>,
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

impl From<api_keys::ApiKey> for ApiKey {
    fn from(key: api_keys::ApiKey) -> Self {
        Self {
            id: key.id,
            account_id: key.account_id,
            name: key.name,
            hint: key.hint,
            scopes: key.scopes,
            allowed_cidrs: key.allowed_cidrs,
            allowed_senders: key.allowed_senders,
            sandbox: key.sandbox,
            requests_per_minute: key.requests_per_minute,
            recipients_per_day: key.recipients_per_day,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            created_at: key.created_at,
        }
    }
}

/// A new API key. The secret is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedApiKey {
    /// The secret: `Authorization: Bearer phk_…`.
    #[schema(example = "phk_Xa93bQ2mPz…")]
    key: String,
    /// The key.
    #[serde(flatten)]
    api_key: ApiKey,
}

/// A key to be made. It cannot do more than the credential that makes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey, example = json!({"name": "ci", "scopes": ["send", "messages:read"]}))]
pub(crate) struct NewApiKeyBody {
    /// For people, 1 to 128 octets.
    name: String,
    /// Whose key, for administrators; the caller's own account by default.
    #[schema(value_type = Option<String>)]
    account_id: Option<Id<id::Account>>,
    /// What it may do.
    scopes: Vec<String>,
    /// Networks it may be used from, such as `192.0.2.0/24`; all by default.
    allowed_cidrs: Option<Vec<String>>,
    /// Addresses and `@domains` it may send as; all of the account's by default.
    allowed_senders: Option<Vec<String>>,
    /// Its messages go to the sandbox, never out.
    sandbox: Option<bool>,
    /// Most requests with it in a minute; no limit by default.
    #[schema(minimum = 1)]
    requests_per_minute: Option<i32>,
    /// Most recipients of messages with it in 24 hours; no limit by default.
    #[schema(minimum = 0)]
    recipients_per_day: Option<i64>,
    /// End of its life; never by default.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
}

impl From<NewApiKeyBody> for NewApiKey {
    fn from(body: NewApiKeyBody) -> Self {
        Self {
            name: body.name,
            account: body.account_id,
            scopes: body.scopes,
            allowed_cidrs: body.allowed_cidrs.unwrap_or_default(),
            allowed_senders: body.allowed_senders.unwrap_or_default(),
            sandbox: body.sandbox.unwrap_or_default(),
            requests_per_minute: body.requests_per_minute,
            recipients_per_day: body.recipients_per_day,
            expires_at: body.expires_at.map(|time| time.0),
        }
    }
}

impl Input for NewApiKeyBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        api_keys::require_create(cx)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        api_keys::create_faults(cx, &self.into())
    }
}

/// Changes of a key (RFC 7396): absent fields stay, null removes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyPatch, example = json!({"name": "ci", "allowed_cidrs": ["192.0.2.0/24"]}))]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub(crate) struct ApiKeyPatchBody {
    /// For people, 1 to 128 octets.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// What it may do: the whole new list.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    scopes: Option<Vec<String>>,
    /// Networks it may be used from: the whole new list; empty: all.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    allowed_cidrs: Option<Vec<String>>,
    /// Addresses and `@domains` it may send as: the whole new list; empty: all of the account's.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    allowed_senders: Option<Vec<String>>,
    /// Its messages go to the sandbox, never out.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    sandbox: Option<bool>,
    /// Most requests with it in a minute; null: no limit.
    #[serde(default, deserialize_with = "removable")]
    #[schema(minimum = 1)]
    requests_per_minute: Option<Option<i32>>,
    /// Most recipients of messages with it in 24 hours; null: no limit.
    #[serde(default, deserialize_with = "removable")]
    #[schema(minimum = 0)]
    recipients_per_day: Option<Option<i64>>,
    /// End of its life; null: never.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<Time>>,
}

impl From<ApiKeyPatchBody> for ApiKeyPatch {
    fn from(body: ApiKeyPatchBody) -> Self {
        Self {
            name: body.name,
            scopes: body.scopes,
            allowed_cidrs: body.allowed_cidrs,
            allowed_senders: body.allowed_senders,
            sandbox: body.sandbox,
            requests_per_minute: body.requests_per_minute,
            recipients_per_day: body.recipients_per_day,
            expires_at: body.expires_at.map(|end| end.map(|time| time.0)),
        }
    }
}

impl Input for ApiKeyPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        api_keys::require_create(cx)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        api_keys::update_faults(cx, self.into())
    }
}

/// List API keys
///
/// Keys of the caller's account, for administrators of all accounts, or with `Posthouse-Account`
/// those of that one; newest first.
#[utoipa::path(get, path = "/api-keys", tag = "api-keys", params(PageParams),
    security(("api_key" = ["account:read"]), ("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of keys", body = List<ApiKey>)))]
async fn list_api_keys(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<ApiKey>>> {
    Ok(List::page(api_keys::list(&cx, &page).await?))
}

/// Create an API key
///
/// The answer has the secret in `key`; it is never shown again.
#[utoipa::path(post, path = "/api-keys", tag = "api-keys", request_body = NewApiKeyBody,
    security(("api_key" = ["account:write"]), ("api_key" = ["admin:write"])),
    responses((status = 201, description = "The key and its secret", body = CreatedApiKey,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_api_key(
    Create { cx, body }: Create<NewApiKeyBody>,
) -> ApiResult<New<CreatedApiKey>> {
    let created = api_keys::create(&cx, body.into()).await?;
    Ok(New::created(created, "/v1/api-keys", |created| {
        let id = created.api_key.id.to_string();
        (id, CreatedApiKey { key: created.secret, api_key: created.api_key.into() })
    }))
}

/// Get an API key
///
/// Everything but the secret.
#[utoipa::path(get, path = "/api-keys/{id}", tag = "api-keys",
    security(("api_key" = ["account:read"]), ("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Key", example = "key_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The key", body = ApiKey)))]
async fn get_api_key(
    Caller(cx): Caller,
    PathId(key): PathId<id::ApiKey>,
) -> ApiResult<Edited<ApiKey>> {
    Ok(Edited::of(api_keys::find(&cx, key).await?))
}

/// Change an API key
///
/// A JSON merge patch: absent fields stay as they are. The key may become weaker, or stay within
/// what the caller may do; its secret stays. It takes effect within a second.
#[utoipa::path(patch, path = "/api-keys/{id}", tag = "api-keys", request_body = ApiKeyPatchBody,
    security(("api_key" = ["account:write"]), ("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Key", example = "key_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The key as it is now", body = ApiKey)))]
async fn update_api_key(
    Change { cx, id, patch }: Change<id::ApiKey, ApiKeyPatchBody>,
) -> ApiResult<Edited<ApiKey>> {
    Ok(Edited::of(api_keys::update(&cx, id, patch.into()).await?))
}

/// Delete an API key
///
/// It stops working within a second.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "api-keys",
    security(("api_key" = ["account:write"]), ("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Key", example = "key_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_api_key(
    Caller(cx): Caller,
    PathId(key): PathId<id::ApiKey>,
) -> ApiResult<StatusCode> {
    api_keys::delete(&cx, key).await?;
    Ok(StatusCode::NO_CONTENT)
}
