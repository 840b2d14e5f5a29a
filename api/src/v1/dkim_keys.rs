//! `/v1/domains/{id}/dkim-keys`: keys that sign the mail of a domain. For administrators.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Created, Cx, Error, FieldError, Scope,
    domains::dkim::{self, NewDkimKey},
    id,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    answer::{List, New},
    extract::{Caller, CreateAt, FromParams, Input, Params, PathId, PathText, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_dkim_keys, create_dkim_key))
        .routes(routes!(rotate_dkim_keys))
        .routes(routes!(get_dkim_key, delete_dkim_key))
        .routes(routes!(activate_dkim_key))
        .routes(routes!(retire_dkim_key))
}

/// A DKIM key, without its secret part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DkimKey {
    /// Selector in DNS.
    #[schema(example = "r2026")]
    selector: String,
    /// `rsa-2048` or `ed25519`.
    #[schema(example = "rsa-2048")]
    algorithm: String,
    /// `pending`: its record has not been seen in DNS; `published`: it has; `active`: it signs;
    /// `retired`: it signs no more.
    #[schema(value_type = String, example = "active")]
    state: &'static str,
    /// Whether it signs.
    active: bool,
    /// It signs, in place of the active ones of its algorithm, as soon as its record is seen.
    rotates: bool,
    /// Name of its TXT record.
    #[schema(example = "r2026._domainkey.example.test")]
    record_name: String,
    /// Text of its TXT record.
    #[schema(example = "v=DKIM1; k=rsa; p=MIIB…")]
    record: String,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
    /// When its record was first seen.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<OffsetDateTime>,
    /// When it began to sign.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    activated_at: Option<OffsetDateTime>,
    /// When it ceased to sign.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    retired_at: Option<OffsetDateTime>,
    /// Until then its record has to stay: mail that it has signed is on its way.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    removable_at: Option<OffsetDateTime>,
}

impl From<dkim::DkimKey> for DkimKey {
    fn from(key: dkim::DkimKey) -> Self {
        Self {
            active: key.is_active(),
            state: key.state.as_str(),
            selector: key.selector,
            algorithm: key.algorithm,
            rotates: key.rotates,
            record_name: key.record_name,
            record: key.record,
            created_at: key.created_at,
            published_at: key.published_at,
            activated_at: key.activated_at,
            retired_at: key.retired_at,
            removable_at: key.removable_at,
        }
    }
}

/// A key to be made, or one to be brought along.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDkimKey, example = json!({"algorithm": "ed25519", "selector": "mail2"}))]
pub(crate) struct NewDkimKeyBody {
    /// `rsa-2048` or `ed25519`; not needed with a private key.
    algorithm: Option<String>,
    /// Name in DNS, lower-case letters, digits and hyphens in labels; one is made up by default.
    selector: Option<String>,
    /// PEM of PKCS #8 or PKCS #1, without a password; it is stored encrypted and never shown. A new
    /// key is made by default.
    #[schema(write_only)]
    private_key: Option<String>,
}

impl From<NewDkimKeyBody> for NewDkimKey {
    fn from(body: NewDkimKeyBody) -> Self {
        Self { algorithm: body.algorithm, selector: body.selector, private_key: body.private_key }
    }
}

impl Input for NewDkimKeyBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        dkim::create_faults(&self.into())
    }
}

/// How to begin a rotation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DkimRotationRequest, example = json!({}))]
pub(crate) struct RotationBody {}

impl Input for RotationBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        Vec::new()
    }
}

/// A rotation that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DkimRotation {
    /// The new keys: publish their records.
    keys: Vec<DkimKey>,
}

/// Whether a thing is done although something speaks against it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Forced {
    /// Do it although it leaves mail without a signature that verifies.
    #[param(inline, value_type = Option<bool>, example = false)]
    force: bool,
}

impl FromParams for Forced {
    fn from_params(reader: &mut Reader) -> Self {
        Self { force: reader.parsed("force", "true or false").unwrap_or_default() }
    }
}

/// List the DKIM keys of a domain
///
/// Those of all states, in the order of their selectors.
#[utoipa::path(get, path = "/domains/{id}/dkim-keys", tag = "domains",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "All keys", body = List<DkimKey>)))]
async fn list_dkim_keys(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<Json<List<DkimKey>>> {
    Ok(List::whole(dkim::list(&cx, domain).await?))
}

/// Create a DKIM key
///
/// Makes a key, or takes one that another system has signed with. It does not sign before it is
/// activated; several may sign side by side. A domain has at most 20 keys.
#[utoipa::path(post, path = "/domains/{id}/dkim-keys", tag = "domains",
    request_body = NewDkimKeyBody, security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 201, description = "The key", body = DkimKey,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_dkim_key(
    CreateAt { cx, id, body }: CreateAt<id::Domain, NewDkimKeyBody>,
) -> ApiResult<New<DkimKey>> {
    let created = dkim::create(&cx, id, body.into()).await?;
    let place = format!("/v1/domains/{id}/dkim-keys");
    Ok(New::created(created, &place, |key| (key.selector.clone(), key.into())))
}

/// Rotate the DKIM keys of a domain
///
/// Makes a new key for each algorithm that signs. Publish the records of the answer: as soon as one
/// is seen in DNS, its key signs and the old ones of its algorithm are retired. That is looked for
/// every ten minutes, and whenever the domain is verified. Refused while a rotation is in progress.
#[utoipa::path(post, path = "/domains/{id}/dkim-keys/rotate", tag = "domains",
    request_body = RotationBody, security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 201, description = "The new keys", body = DkimRotation,
        headers(("Location" = String, description = "Where all keys are")))))]
async fn rotate_dkim_keys(
    CreateAt { cx, id, body: RotationBody {} }: CreateAt<id::Domain, RotationBody>,
) -> ApiResult<New<DkimRotation>> {
    let Created { value, replayed } = dkim::rotate(&cx, id).await?;
    let keys = value.keys.into_iter().map(Into::into).collect();
    let made = Created { value: DkimRotation { keys }, replayed };
    Ok(New::created(made, "/v1/domains", |rotation| (format!("{id}/dkim-keys"), rotation)))
}

/// Get a DKIM key
///
/// What becomes of it, and the record to publish.
#[utoipa::path(get, path = "/domains/{id}/dkim-keys/{selector}", tag = "domains",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        ("selector" = String, Path, description = "Selector", example = "r2026")),
    responses((status = 200, description = "The key", body = DkimKey)))]
async fn get_dkim_key(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
    PathText(selector): PathText,
) -> ApiResult<Json<DkimKey>> {
    Ok(Json(dkim::find(&cx, domain, &selector).await?.into()))
}

/// Delete a DKIM key
///
/// Refused for one that signs, and for one whose signatures may still be on their way.
#[utoipa::path(delete, path = "/domains/{id}/dkim-keys/{selector}", tag = "domains",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        ("selector" = String, Path, description = "Selector", example = "r2026")),
    responses((status = 204, description = "It is gone")))]
async fn delete_dkim_key(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
    PathText(selector): PathText,
) -> ApiResult<StatusCode> {
    dkim::delete(&cx, domain, &selector).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Activate a DKIM key
///
/// It signs from now on, beside the others that do. Refused while its record is not in DNS, unless
/// `force` is true.
#[utoipa::path(post, path = "/domains/{id}/dkim-keys/{selector}/activate", tag = "domains",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        ("selector" = String, Path, description = "Selector", example = "r2026"), Forced),
    responses((status = 200, description = "The key as it is now", body = DkimKey)))]
async fn activate_dkim_key(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
    PathText(selector): PathText,
    Params(Forced { force }): Params<Forced>,
) -> ApiResult<Json<DkimKey>> {
    Ok(Json(dkim::activate(&cx, domain, &selector, force).await?.into()))
}

/// Retire a DKIM key
///
/// It signs no more; its record has to stay until `removable_at`. Refused for the last key that
/// signs, unless `force` is true: mail of the domain is not signed then.
#[utoipa::path(post, path = "/domains/{id}/dkim-keys/{selector}/retire", tag = "domains",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        ("selector" = String, Path, description = "Selector", example = "r2026"), Forced),
    responses((status = 200, description = "The key as it is now", body = DkimKey)))]
async fn retire_dkim_key(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
    PathText(selector): PathText,
    Params(Forced { force }): Params<Forced>,
) -> ApiResult<Json<DkimKey>> {
    Ok(Json(dkim::retire(&cx, domain, &selector, force).await?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<NewDkimKeyBody>();
    }
}
