//! `/v1/transports`: ways out for mail. For administrators.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    page::PageRequest,
    routing::{self, Kind, Settings, TransportPatch},
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
    OpenApiRouter::new().routes(routes!(list_transports, create_transport)).routes(routes!(
        get_transport,
        update_transport,
        delete_transport
    ))
}

/// A way out for mail, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Transport {
    /// Identifier.
    #[schema(value_type = String, example = "trn_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Transport>,
    /// For people; unique.
    #[schema(example = "relay")]
    name: String,
    /// `direct`, `smtp`, `submission`, `submissions`, `socks5` or `fail`.
    #[schema(value_type = String, example = "submission")]
    r#type: &'static str,
    /// The host that takes everything, or the proxy; null: the type has none.
    #[schema(example = "smtp.example.net")]
    host: Option<String>,
    /// Its TCP port.
    #[schema(example = 587)]
    port: Option<i32>,
    /// `required`: STARTTLS with a valid certificate; `opportunistic`: STARTTLS when offered;
    /// `implicit`: TLS from the first octet, with a valid certificate; `never`: no TLS.
    #[schema(example = "required")]
    tls: Option<String>,
    /// Login name there.
    username: Option<String>,
    /// Whether there is a password; it is never shown.
    #[schema(example = true)]
    has_password: bool,
    /// The SASL mechanisms that may be used there; empty: whatever is safe.
    #[schema(example = json!(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]))]
    auth_mechanisms: Vec<String>,
    /// Whether it logs in without verified TLS too.
    insecure_auth: bool,
    /// The certificate that is shown there, with its chain, as PEM; its key is never shown.
    client_certificate: Option<String>,
    /// Of one that looks for exchangers: `ipv4` or `ipv6` when only that is used; null: both.
    ip_version: Option<String>,
    /// Where connections come from; with a proxy, where it connects from. Empty: anywhere.
    #[schema(example = json!(["192.0.2.25", "2001:db8::25"]))]
    source_addresses: Vec<String>,
    /// The name in EHLO; null: that of the installation.
    #[schema(example = "out.example.net")]
    ehlo_name: Option<String>,
    /// Of one that fails: the SMTP code.
    code: Option<i16>,
    /// Of one that fails: what it says.
    reply: Option<String>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<routing::Transport> for Transport {
    fn from(found: routing::Transport) -> Self {
        Self {
            id: found.id,
            r#type: found.kind.as_str(),
            has_password: found.has_password(),
            name: found.name,
            host: found.host,
            port: found.port,
            tls: found.tls,
            username: found.username,
            auth_mechanisms: found.auth_mechanisms,
            insecure_auth: found.insecure_auth,
            client_certificate: found.client_certificate,
            ip_version: found.ip_version,
            source_addresses: found.source_addresses,
            ehlo_name: found.ehlo_name,
            code: found.code,
            reply: found.reply,
            created_at: found.created_at,
        }
    }
}

/// A transport to be made. Which settings it takes depends on its type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTransport, example = json!({
    "name": "relay", "type": "submission", "host": "smtp.example.net", "username": "posthouse",
    "password": "secret",
}))]
pub(crate) struct NewTransportBody {
    /// 1 to 64 letters, digits, dots, underscores and hyphens; unique.
    name: String,
    /// `direct`: to the recipient's exchangers; `smtp`, `submission`, `submissions`: to a host on
    /// port 25, 587 or 465; `socks5`: as direct, through a SOCKS5 proxy (port 1080); `fail`:
    /// everything fails.
    r#type: String,
    /// Name or address of the host or proxy.
    host: Option<String>,
    /// Its TCP port; that of the type by default.
    #[schema(minimum = 1, maximum = 65_535)]
    port: Option<i32>,
    /// `required`, `opportunistic` or `never`; `required` for submission and `opportunistic` for
    /// smtp by default. Always `implicit` for submissions.
    tls: Option<String>,
    /// Login name, with `password`; at a host it needs `required` or `implicit`, unless
    /// `insecure_auth` is true.
    username: Option<String>,
    /// Password; it is stored encrypted and never shown.
    #[schema(write_only)]
    password: Option<String>,
    /// The SASL mechanisms that may be used at a host: `EXTERNAL`, `SCRAM-SHA-256-PLUS`,
    /// `SCRAM-SHA-1-PLUS`, `SCRAM-SHA-256`, `SCRAM-SHA-1`, `CRAM-MD5`, `PLAIN`, `LOGIN`. The
    /// strongest that the host offers is used, in this order. By default all over verified TLS,
    /// else all but `PLAIN` and `LOGIN`.
    auth_mechanisms: Option<Vec<String>>,
    /// Log in also without verified TLS; false by default.
    insecure_auth: Option<bool>,
    /// A certificate to show to the host in TLS, with its chain, as PEM; with `client_key`.
    #[schema(max_length = 32_768)]
    client_certificate: Option<String>,
    /// Its private key as PEM; it is stored encrypted and never shown.
    #[schema(write_only, max_length = 32_768)]
    client_key: Option<String>,
    /// For direct and socks5: `ipv4` or `ipv6` to use only that.
    ip_version: Option<String>,
    /// Addresses that connections come from: each node takes the first of the right version of IP
    /// that it has. A version without an address is not used. For socks5 those that the proxy
    /// connects from.
    #[schema(max_items = 32)]
    source_addresses: Option<Vec<String>>,
    /// The name in EHLO, by default that of the installation.
    ehlo_name: Option<String>,
    /// For fail: the SMTP code, 554 by default; 4yz lets the delivery wait.
    #[schema(minimum = 400, maximum = 599)]
    code: Option<i16>,
    /// For fail: what it says, at most 500 characters.
    reply: Option<String>,
}

impl NewTransportBody {
    fn read(self) -> (String, Kind, Settings, Vec<FieldError>) {
        let mut faults = Vec::new();
        let kind = self.r#type.parse().unwrap_or_else(|()| {
            let detail = "expected one of direct, smtp, submission, submissions, socks5 and fail";
            faults.push(FieldError::new("/type", "invalid_value", detail));
            Kind::Direct
        });
        let settings = Settings {
            host: self.host,
            port: self.port,
            tls: self.tls,
            username: self.username,
            password: self.password,
            auth_mechanisms: self.auth_mechanisms,
            insecure_auth: self.insecure_auth,
            client_certificate: self.client_certificate,
            client_key: self.client_key,
            ip_version: self.ip_version,
            source_addresses: self.source_addresses,
            ehlo_name: self.ehlo_name,
            code: self.code,
            reply: self.reply,
        };
        (self.name, kind, settings, faults)
    }
}

impl Input for NewTransportBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        let (name, kind, settings, mut faults) = self.read();
        if faults.is_empty() {
            faults = routing::transport_faults(&name, kind, settings);
        }
        faults
    }
}

/// Changes of a transport (RFC 7396): absent fields stay. Its type never changes: make another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TransportPatch, example = json!({"password": "another secret"}))]
pub(crate) struct TransportPatchBody {
    /// 1 to 64 letters, digits, dots, underscores and hyphens; unique.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// Name or address of the host or proxy.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    host: Option<String>,
    /// Its TCP port.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 1, maximum = 65_535)]
    port: Option<i32>,
    /// `required`, `opportunistic` or `never`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    tls: Option<String>,
    /// Login name; null, with that of `password`, for no login.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    username: Option<Option<String>>,
    /// Password; it is stored encrypted and never shown.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>, write_only)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    password: Option<Option<String>>,
    /// The SASL mechanisms that may be used; empty: whatever is safe.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    auth_mechanisms: Option<Vec<String>>,
    /// Log in also without verified TLS.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    insecure_auth: Option<bool>,
    /// A certificate as PEM, with that of `client_key`; both null: none.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>, max_length = 32_768)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    client_certificate: Option<Option<String>>,
    /// Its private key as PEM; it is stored encrypted and never shown.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>, write_only, max_length = 32_768)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    client_key: Option<Option<String>>,
    /// For direct and socks5: `ipv4` or `ipv6` to use only that; null: both.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    ip_version: Option<Option<String>>,
    /// Addresses that connections come from; empty: anywhere.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, max_items = 32)]
    source_addresses: Option<Vec<String>>,
    /// The name in EHLO; null: that of the installation.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    ehlo_name: Option<Option<String>>,
    /// For fail: the SMTP code.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 400, maximum = 599)]
    code: Option<i16>,
    /// For fail: what it says, at most 500 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    reply: Option<String>,
}

impl From<TransportPatchBody> for TransportPatch {
    fn from(body: TransportPatchBody) -> Self {
        Self {
            name: body.name,
            host: body.host,
            port: body.port,
            tls: body.tls,
            username: body.username,
            password: body.password,
            auth_mechanisms: body.auth_mechanisms,
            insecure_auth: body.insecure_auth,
            client_certificate: body.client_certificate,
            client_key: body.client_key,
            ip_version: body.ip_version,
            source_addresses: body.source_addresses,
            ehlo_name: body.ehlo_name,
            code: body.code,
            reply: body.reply,
        }
    }
}

impl Input for TransportPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        routing::transport_patch_faults(self.into())
    }
}

/// List transports
///
/// All transports, newest first.
#[utoipa::path(get, path = "/transports", tag = "queue", params(PageParams),
    security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of transports", body = List<Transport>)))]
async fn list_transports(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<Transport>>> {
    Ok(List::page(routing::list_transports(&cx, &page).await?))
}

/// Create a transport
///
/// No mail takes it before a route leads to it, or somebody chooses it for deliveries
/// (`POST /v1/queue/bulk`). There are at most 100.
#[utoipa::path(post, path = "/transports", tag = "queue", request_body = NewTransportBody,
    security(("api_key" = ["admin:write"])),
    responses((status = 201, description = "The transport", body = Transport,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_transport(
    Create { cx, body }: Create<NewTransportBody>,
) -> ApiResult<New<Transport>> {
    let (name, kind, settings, faults) = body.read();
    Error::unless_empty(faults)?;
    let created = routing::create_transport(&cx, name, kind, settings).await?;
    Ok(New::created(created, "/v1/transports", |made| (made.id.to_string(), made.into())))
}

/// Get a transport
///
/// Everything but the password and the key of the certificate.
#[utoipa::path(get, path = "/transports/{id}", tag = "queue",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Transport", example = "trn_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The transport", body = Transport)))]
async fn get_transport(
    Caller(cx): Caller,
    PathId(transport): PathId<id::Transport>,
) -> ApiResult<Edited<Transport>> {
    Ok(Edited::of(routing::find_transport(&cx, transport).await?))
}

/// Change a transport
///
/// A JSON merge patch: absent fields stay as they are. All nodes use it as it is now for attempts
/// that begin a moment later.
#[utoipa::path(patch, path = "/transports/{id}", tag = "queue", request_body = TransportPatchBody,
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Transport", example = "trn_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The transport as it is now", body = Transport)))]
async fn update_transport(
    Change { cx, id, patch }: Change<id::Transport, TransportPatchBody>,
) -> ApiResult<Edited<Transport>> {
    Ok(Edited::of(routing::update_transport(&cx, id, patch.into()).await?))
}

/// Delete a transport
///
/// Refused while routes lead to it. Deliveries that it was chosen for are deferred until another is.
#[utoipa::path(delete, path = "/transports/{id}", tag = "queue",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Transport", example = "trn_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_transport(
    Caller(cx): Caller,
    PathId(transport): PathId<id::Transport>,
) -> ApiResult<StatusCode> {
    routing::delete_transport(&cx, transport).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<NewTransportBody>();
        crate::extract::survives_wrong_types::<TransportPatchBody>();
    }
}
