//! `/v1/webhooks/{id}/secret`: what verifies the signatures of calls, and its rotation.

use axum::Json;
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    webhooks::{self, Rotation, SignatureScheme},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::webhooks::Scheme;
use crate::{
    answer::New,
    extract::{Caller, CreateAt, Input, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_webhook_secret)).routes(routes!(rotate_webhook_secret))
}

/// What verifies the signatures of a webhook endpoint's calls.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookSecret {
    /// `whsec_` and 32 octets in base64 for `v1`, `whpk_` and the public key in base64 for `v1a`.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// `v1` (HMAC-SHA256) or `v1a` (Ed25519).
    #[schema(value_type = Scheme)]
    signature_scheme: SignatureScheme,
    /// Replaced ones that still sign every call as well, newest first.
    former: Vec<FormerWebhookSecret>,
}

/// A secret that was replaced.
#[derive(Serialize, ToSchema)]
pub(crate) struct FormerWebhookSecret {
    /// As it was.
    #[schema(example = "whsec_Q9yGyRkHrFQ1uFqfUQ2n0Zq8k8zQ7bPy")]
    secret: String,
    /// It signs until then.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-22T10:00:00.000Z")]
    expires_at: OffsetDateTime,
}

impl From<webhooks::Secrets> for WebhookSecret {
    fn from(secrets: webhooks::Secrets) -> Self {
        let former = secrets.former.into_iter();
        Self {
            secret: secrets.secret,
            signature_scheme: secrets.signature_scheme,
            former: former
                .map(|one| FormerWebhookSecret { secret: one.secret, expires_at: one.expires_at })
                .collect(),
        }
    }
}

/// How the secret of a webhook endpoint is to be replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookSecretRotation, example = json!({"overlap_seconds": 86_400}))]
pub(crate) struct RotationBody {
    /// How long the secret that is replaced signs every call as well, 0 to a week; a day by
    /// default. Those that were replaced before end then at the latest: 0 ends all at once.
    #[schema(minimum = 0, maximum = 604_800)]
    overlap_seconds: Option<i64>,
    /// How the new secret signs; as the one before by default.
    signature_scheme: Option<Scheme>,
}

impl From<RotationBody> for Rotation {
    fn from(body: RotationBody) -> Self {
        Self {
            overlap_seconds: body.overlap_seconds,
            signature_scheme: body.signature_scheme.map(Into::into),
        }
    }
}

impl Input for RotationBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::WebhooksWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        webhooks::rotate_faults(&self.into())
    }
}

/// Get the secret of a webhook endpoint
///
/// Whoever has a `whsec_` secret can forge events: keep it as you keep a password. A `whpk_` key is
/// public.
#[utoipa::path(get, path = "/webhooks/{id}/secret", tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The secret", body = WebhookSecret)))]
async fn get_webhook_secret(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
) -> ApiResult<Json<WebhookSecret>> {
    Ok(Json(webhooks::secrets(&cx, webhook).await?.into()))
}

/// Replace the secret of a webhook endpoint
///
/// Until the overlap is over, `webhook-signature` has a signature of the new secret and one of each
/// that was replaced, so that receivers can change over when they like. At most four replaced
/// secrets sign at a time.
#[utoipa::path(post, path = "/webhooks/{id}/secret/rotate", tag = "webhooks",
    request_body = RotationBody,
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 201, description = "The new secret", body = WebhookSecret,
        headers(("Location" = String, description = "Where it is")))))]
async fn rotate_webhook_secret(
    CreateAt { cx, id, body }: CreateAt<id::Webhook, RotationBody>,
) -> ApiResult<New<WebhookSecret>> {
    let created = webhooks::rotate(&cx, id, body.into()).await?;
    let place = |secrets: webhooks::Secrets| (place(id), secrets.into());
    Ok(New::created(created, "/v1/webhooks", place))
}

fn place(webhook: Id<id::Webhook>) -> String {
    format!("{webhook}/secret")
}
