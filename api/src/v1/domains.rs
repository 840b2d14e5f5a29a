//! `/v1/domains`: for administrators.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope,
    domains::{self, DomainPatch, NewDomain, dkim},
    id,
    page::PageRequest,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    dkim_keys::DkimKey,
    fields::{PageParams, present},
};
use crate::{
    answer::{Edited, List, New},
    extract::{Caller, Change, Create, Input, Object, Params, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_domains, create_domain))
        .routes(routes!(get_domain, update_domain, delete_domain))
        .routes(routes!(disable_domain))
        .routes(routes!(enable_domain))
}

/// A domain that is served here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Domain {
    /// Identifier.
    #[schema(value_type = String, example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Domain>,
    /// Name in A-label form.
    #[schema(example = "example.test")]
    name: String,
    /// For administrators.
    description: String,
    /// Takes and sends no mail for now.
    disabled: bool,
    /// What follows one of these in a local part is ignored.
    #[schema(example = json!(["+"]))]
    separators: Vec<String>,
    /// Local parts differ by case.
    case_sensitive: bool,
    /// The reverse-path of what it sends is `alice+<token>@…`: bounces and complaints that carry the
    /// token are known to be real. Not used where the separators leave no room, or through a smart
    /// host.
    bounce_tokens: bool,
    /// How its mail is signed.
    dkim: DkimSettings,
    /// Keys of all states.
    dkim_keys: Vec<DkimKey>,
    /// DNS records to publish.
    records: Vec<DnsRecord>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

/// How a domain signs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DkimSettings {
    /// Of header and body, `relaxed` or `simple`.
    #[schema(example = "relaxed/relaxed")]
    canonicalization: String,
    /// Signatures end so long after signing; 0: never.
    #[schema(example = 259_200)]
    expires_in_seconds: i32,
    /// Fields that are signed once more than they are present, so that none can be added.
    #[schema(example = json!(["From", "To", "Subject"]))]
    oversigned_headers: Vec<String>,
    /// The record of a key that signs no more is needed for so long.
    #[schema(example = 604_800)]
    overlap_seconds: i32,
}

impl From<dkim::Settings> for DkimSettings {
    fn from(settings: dkim::Settings) -> Self {
        Self {
            canonicalization: settings.canonicalization,
            expires_in_seconds: settings.expires_in_seconds,
            oversigned_headers: settings.oversigned_headers,
            overlap_seconds: settings.overlap_seconds,
        }
    }
}

/// A DNS record to publish.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DnsRecord {
    /// Owner name, absolute, without trailing dot.
    #[schema(example = "r2026._domainkey.example.test")]
    name: String,
    /// `MX`, `TXT` …
    #[schema(example = "TXT")]
    r#type: String,
    /// Data in zone-file form; TXT without quotes.
    #[schema(example = "v=DKIM1; k=rsa; p=MIIB…")]
    value: String,
    /// What it is for: `mx`, `spf`, `dkim`, `dmarc`, `tls_rpt`, `spf_host`, `client`,
    /// `client_absent`.
    #[schema(example = "dkim")]
    purpose: String,
    /// Without it the domain does not count as verified.
    required: bool,
    /// What to do, for people.
    instructions: String,
}

impl From<domains::DnsRecord> for DnsRecord {
    fn from(record: domains::DnsRecord) -> Self {
        Self {
            name: record.name,
            r#type: record.kind,
            value: record.value,
            purpose: record.purpose,
            required: record.required,
            instructions: record.instructions,
        }
    }
}

impl From<domains::Domain> for Domain {
    fn from(domain: domains::Domain) -> Self {
        Self {
            id: domain.id,
            name: domain.name,
            description: domain.description,
            disabled: domain.disabled,
            separators: domain.separators,
            case_sensitive: domain.case_sensitive,
            bounce_tokens: domain.bounce_tokens,
            dkim: domain.dkim.into(),
            dkim_keys: domain.dkim_keys.into_iter().map(Into::into).collect(),
            records: domain.records.into_iter().map(Into::into).collect(),
            created_at: domain.created_at,
        }
    }
}

/// A domain to be served.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDomain, example = json!({"name": "example.test"}))]
pub(crate) struct NewDomainBody {
    /// Name; A-labels or Unicode.
    name: String,
    /// For administrators, at most 500 characters.
    description: Option<String>,
    /// What follows one of these in a local part is ignored; `+` by default.
    separators: Option<Vec<String>>,
    /// Local parts differ by case; false by default.
    case_sensitive: Option<bool>,
    /// Keys to make.
    #[schema(inline, value_type = Option<NewDkim>)]
    dkim: Option<Object<NewDkim>>,
}

/// Keys to make with a domain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDkim {
    /// `rsa-2048` and `ed25519`, each at most once; both by default.
    algorithms: Option<Vec<String>>,
}

impl From<NewDomainBody> for NewDomain {
    fn from(body: NewDomainBody) -> Self {
        Self {
            name: body.name,
            description: body.description.unwrap_or_default(),
            separators: body.separators,
            case_sensitive: body.case_sensitive.unwrap_or_default(),
            dkim_algorithms: body.dkim.and_then(|Object(dkim)| dkim.algorithms),
        }
    }
}

impl Input for NewDomainBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        domains::create_faults(&self.into())
    }
}

/// Changes of a domain (RFC 7396): absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DomainPatch, example = json!({"disabled": true}))]
pub(crate) struct DomainPatchBody {
    /// For administrators, at most 500 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    description: Option<String>,
    /// Takes and sends no mail for now.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    disabled: Option<bool>,
    /// What follows one of these in a local part is ignored.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    separators: Option<Vec<String>>,
    /// Reverse-paths carry tokens.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    bounce_tokens: Option<bool>,
    /// How its mail is signed.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<DkimSettingsPatch>, nullable = false)]
    dkim: Option<Object<DkimSettingsPatch>>,
}

/// Changes of how a domain signs; absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DkimSettingsPatch {
    /// Of header and body, `relaxed` or `simple`, such as `relaxed/simple`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    canonicalization: Option<String>,
    /// Signatures end so long after signing, an hour to a year; 0: never.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    expires_in_seconds: Option<i32>,
    /// Fields that are signed once more than they are present; with From. Empty: the usual ones.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    oversigned_headers: Option<Vec<String>>,
    /// The record of a key that signs no more is needed for so long; longer than signatures live.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    overlap_seconds: Option<i32>,
}

impl From<DkimSettingsPatch> for dkim::SettingsPatch {
    fn from(body: DkimSettingsPatch) -> Self {
        Self {
            canonicalization: body.canonicalization,
            expires_in_seconds: body.expires_in_seconds,
            oversigned_headers: body.oversigned_headers,
            overlap_seconds: body.overlap_seconds,
        }
    }
}

impl From<DomainPatchBody> for DomainPatch {
    fn from(body: DomainPatchBody) -> Self {
        Self {
            description: body.description,
            disabled: body.disabled,
            separators: body.separators,
            bounce_tokens: body.bounce_tokens,
            dkim: body.dkim.map(|Object(dkim)| dkim.into()),
        }
    }
}

impl Input for DomainPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        domains::update_faults(&self.into())
    }
}

/// List domains
///
/// All domains, newest first.
#[utoipa::path(get, path = "/domains", tag = "domains", params(PageParams),
    security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of domains", body = List<Domain>)))]
async fn list_domains(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<Domain>>> {
    Ok(List::page(domains::list(&cx, &page).await?))
}

/// Create a domain
///
/// Its DKIM keys are made with it; the answer lists the DNS records to publish.
#[utoipa::path(post, path = "/domains", tag = "domains", request_body = NewDomainBody,
    security(("api_key" = ["admin:write"])),
    responses((status = 201, description = "The domain", body = Domain,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_domain(Create { cx, body }: Create<NewDomainBody>) -> ApiResult<New<Domain>> {
    let created = domains::create(&cx, body.into()).await?;
    Ok(New::created(created, "/v1/domains", |domain| (domain.id.to_string(), domain.into())))
}

/// Get a domain
///
/// With its keys and the DNS records to publish.
#[utoipa::path(get, path = "/domains/{id}", tag = "domains",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The domain", body = Domain)))]
async fn get_domain(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<Edited<Domain>> {
    Ok(Edited::of(domains::find(&cx, domain).await?))
}

/// Change a domain
///
/// A JSON merge patch: absent fields stay as they are.
#[utoipa::path(patch, path = "/domains/{id}", tag = "domains", request_body = DomainPatchBody,
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The domain as it is now", body = Domain)))]
async fn update_domain(
    Change { cx, id, patch }: Change<id::Domain, DomainPatchBody>,
) -> ApiResult<Edited<Domain>> {
    Ok(Edited::of(domains::update(&cx, id, patch.into()).await?))
}

/// Delete a domain
///
/// Refused while accounts have addresses in it.
#[utoipa::path(delete, path = "/domains/{id}", tag = "domains",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_domain(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<StatusCode> {
    domains::delete(&cx, domain).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Disable a domain
///
/// It takes no mail and sends none until it is enabled: other servers and senders are told to come
/// back later, and what waits in the queue goes on waiting. People still log in with its addresses.
#[utoipa::path(post, path = "/domains/{id}/disable", tag = "domains",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The domain as it is now", body = Domain)))]
async fn disable_domain(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<Edited<Domain>> {
    Ok(Edited::of(domains::disable(&cx, domain).await?))
}

/// Enable a domain
///
/// It takes and sends mail again.
#[utoipa::path(post, path = "/domains/{id}/enable", tag = "domains",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The domain as it is now", body = Domain)))]
async fn enable_domain(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<Edited<Domain>> {
    Ok(Edited::of(domains::enable(&cx, domain).await?))
}
