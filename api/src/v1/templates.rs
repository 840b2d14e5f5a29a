//! `/v1/templates`: stored templates of messages and their versions.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Scope, id,
    page::PageRequest,
    templates::{self, NewTemplate, Parts, TemplatePatch},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::{PageParams, present},
    template_shapes::{RenderedTemplate, ShownTemplate, Template, TemplateVersion},
};
use crate::{
    answer::{List, New},
    extract::{Caller, Change, Create, CreateAt, FromParams, Input, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_templates, create_template))
        .routes(routes!(get_template, update_template, delete_template))
        .routes(routes!(list_template_versions, create_template_version))
        .routes(routes!(publish_template))
        .routes(routes!(render_template))
}

/// A template to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTemplate, example = json!({
    "name": "welcome", "subject": "Welcome, {{ user.name }}",
    "text": "Hello {{ user.name }}{% if code is defined %}, your code is {{ code }}{% endif %}.",
    "html": "<p>Hello <b>{{ user.name }}</b></p>", "publish": true,
}))]
pub(crate) struct NewTemplateBody {
    /// Unique in the account: 1 to 64 ASCII letters, digits, `.`, `_` and `-`.
    name: String,
    /// For people, at most 500 characters.
    description: Option<String>,
    /// Template of the subject, at most 4,096 octets.
    subject: Option<String>,
    /// Template of the plain text, at most 256 KiB; this or `html` is needed.
    text: Option<String>,
    /// Template of the HTML, at most 256 KiB. Values are escaped for text and for attributes in
    /// quotes.
    html: Option<String>,
    /// Messages can use it at once; so by default.
    publish: Option<bool>,
}

impl From<NewTemplateBody> for NewTemplate {
    fn from(body: NewTemplateBody) -> Self {
        let subject = body.subject.unwrap_or_default();
        Self {
            name: body.name,
            description: body.description.unwrap_or_default(),
            parts: Parts { subject, text: body.text, html: body.html },
            publish: body.publish.unwrap_or(true),
        }
    }
}

impl Input for NewTemplateBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AccountWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        templates::create_faults(&self.into())
    }
}

/// A version to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTemplateVersion, example = json!({
    "subject": "Welcome to us, {{ user.name }}", "text": "Hello {{ user.name }}.",
}))]
pub(crate) struct NewVersionBody {
    /// Template of the subject, at most 4,096 octets.
    subject: Option<String>,
    /// Template of the plain text, at most 256 KiB; this or `html` is needed.
    text: Option<String>,
    /// Template of the HTML, at most 256 KiB.
    html: Option<String>,
    /// Messages use it from now on; by default it waits to be published.
    publish: Option<bool>,
}

impl From<NewVersionBody> for (Parts, bool) {
    fn from(body: NewVersionBody) -> Self {
        let subject = body.subject.unwrap_or_default();
        let parts = Parts { subject, text: body.text, html: body.html };
        (parts, body.publish.unwrap_or_default())
    }
}

impl Input for NewVersionBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AccountWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        let (parts, _) = self.into();
        templates::version_faults(&parts)
    }
}

/// Changes of a template (RFC 7396): absent fields stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplatePatch, example = json!({"name": "welcome-2"}))]
pub(crate) struct TemplatePatchBody {
    /// Unique in the account.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// For people, at most 500 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    description: Option<String>,
}

impl From<TemplatePatchBody> for TemplatePatch {
    fn from(body: TemplatePatchBody) -> Self {
        Self { name: body.name, description: body.description }
    }
}

impl Input for TemplatePatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AccountWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        templates::update_faults(&self.into())
    }
}

/// What is to be published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PublishTemplate, example = json!({"version": 1}))]
pub(crate) struct PublishBody {
    /// The version; the newest by default.
    version: Option<i32>,
}

impl Input for PublishBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AccountWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        Vec::new()
    }
}

/// What a template is to be filled with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RenderTemplate, example = json!({"variables": {"user": {"name": "Bob"}}}))]
pub(crate) struct RenderBody {
    /// The version; by default the published one, or else the newest.
    version: Option<i32>,
    /// What stands for the names in it, at most 64 KiB.
    #[schema(value_type = Option<Object>)]
    variables: Option<Map<String, Value>>,
}

impl Input for RenderBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AccountRead)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        templates::render_faults(&self.variables.unwrap_or_default())
    }
}

/// Which version is wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what VersionRequest reads")]
struct VersionParams {
    /// Number of the version; by default the published one, or else the newest.
    version: Option<i32>,
}

/// A version in a query.
struct VersionRequest(Option<i32>);

impl FromParams for VersionRequest {
    fn from_params(reader: &mut Reader) -> Self {
        Self(reader.parsed("version", "a number"))
    }
}

/// List templates
///
/// Those of the account, newest first, without what they say.
#[utoipa::path(get, path = "/templates", tag = "templates", params(PageParams),
    security(("api_key" = ["account:read"])),
    responses((status = 200, description = "A page of templates", body = List<Template>)))]
async fn list_templates(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<Template>>> {
    Ok(List::page(templates::list(&cx, &page).await?))
}

/// Create a template
///
/// Subject, text and HTML are templates in a part of the language of Jinja: `{{ user.name }}`,
/// `{{ note|default("none") }}`, `{% if … %}`, `{% for item in items %}`. Filters: `capitalize`,
/// `default`, `escape`, `first`, `last`, `length`, `lower`, `round`, `safe`, `title`, `trim`,
/// `upper`, `urlencode`. An account has at most 1,000 templates.
#[utoipa::path(post, path = "/templates", tag = "templates", request_body = NewTemplateBody,
    security(("api_key" = ["account:write"])),
    responses((status = 201, description = "The template and its version 1", body = ShownTemplate,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_template(
    Create { cx, body }: Create<NewTemplateBody>,
) -> ApiResult<New<ShownTemplate>> {
    let created = templates::create(&cx, body.into()).await?;
    Ok(New::created(created, "/v1/templates", |shown| {
        (shown.template.id.to_string(), shown.into())
    }))
}

/// Get a template
///
/// With what one of its versions says.
#[utoipa::path(get, path = "/templates/{id}", tag = "templates",
    security(("api_key" = ["account:read"])),
    params(("id" = String, Path, description = "Template", example = "tpl_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        VersionParams),
    responses((status = 200, description = "The template and a version", body = ShownTemplate)))]
async fn get_template(
    Caller(cx): Caller,
    PathId(template): PathId<id::Template>,
    Params(VersionRequest(version)): Params<VersionRequest>,
) -> ApiResult<Json<ShownTemplate>> {
    Ok(Json(templates::find(&cx, template, version).await?.into()))
}

/// Change a template
///
/// A JSON merge patch of name and description. What a template says is changed by a new version.
#[utoipa::path(patch, path = "/templates/{id}", tag = "templates",
    request_body = TemplatePatchBody, security(("api_key" = ["account:write"])),
    params(("id" = String, Path, description = "Template", example = "tpl_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The template as it is now", body = Template)))]
async fn update_template(
    Change { cx, id, patch }: Change<id::Template, TemplatePatchBody>,
) -> ApiResult<Json<Template>> {
    Ok(Json(templates::update(&cx, id, patch.into()).await?.into()))
}

/// Delete a template
///
/// With all versions. Messages that were made from it stay what they are, also those that wait.
#[utoipa::path(delete, path = "/templates/{id}", tag = "templates",
    security(("api_key" = ["account:write"])),
    params(("id" = String, Path, description = "Template", example = "tpl_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_template(
    Caller(cx): Caller,
    PathId(template): PathId<id::Template>,
) -> ApiResult<StatusCode> {
    templates::delete(&cx, template).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List versions of a template
///
/// All of them, newest first, without what they say: see `GET /v1/templates/{id}?version=`.
#[utoipa::path(get, path = "/templates/{id}/versions", tag = "templates",
    security(("api_key" = ["account:read"])),
    params(("id" = String, Path, description = "Template", example = "tpl_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "All versions", body = List<TemplateVersion>)))]
async fn list_template_versions(
    Caller(cx): Caller,
    PathId(template): PathId<id::Template>,
) -> ApiResult<Json<List<TemplateVersion>>> {
    Ok(List::whole(templates::versions(&cx, template).await?))
}

/// Create a version of a template
///
/// Versions never change: a template is changed by a new one, which messages use once it is
/// published. A template has at most 1,000 versions.
#[utoipa::path(post, path = "/templates/{id}/versions", tag = "templates",
    request_body = NewVersionBody, security(("api_key" = ["account:write"])),
    params(("id" = String, Path, description = "Template", example = "tpl_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 201, description = "The template and the version", body = ShownTemplate,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_template_version(
    CreateAt { cx, id, body }: CreateAt<id::Template, NewVersionBody>,
) -> ApiResult<New<ShownTemplate>> {
    let (parts, publish) = body.into();
    let created = templates::add_version(&cx, id, parts, publish).await?;
    Ok(New::created(created, "/v1/templates", |shown| {
        (format!("{id}?version={}", shown.version.version), shown.into())
    }))
}

/// Publish a version of a template
///
/// Messages that name no version use this one from now on; it can be an older one.
#[utoipa::path(post, path = "/templates/{id}/publish", tag = "templates",
    request_body = PublishBody, security(("api_key" = ["account:write"])),
    params(("id" = String, Path, description = "Template", example = "tpl_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The template as it is now", body = Template)))]
async fn publish_template(
    Change { cx, id, patch }: Change<id::Template, PublishBody>,
) -> ApiResult<Json<Template>> {
    Ok(Json(templates::publish(&cx, id, patch.version).await?.into()))
}

/// Render a template
///
/// A preview: what a message with these variables would say. Every variable that lacks is a fault
/// with a pointer to where it should stand.
#[utoipa::path(post, path = "/templates/{id}/render", tag = "templates",
    request_body = RenderBody, security(("api_key" = ["account:read"])),
    params(("id" = String, Path, description = "Template", example = "tpl_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "What it becomes", body = RenderedTemplate)))]
async fn render_template(
    Change { cx, id, patch }: Change<id::Template, RenderBody>,
) -> ApiResult<Json<RenderedTemplate>> {
    let variables = patch.variables.unwrap_or_default();
    Ok(Json(templates::render(&cx, id, patch.version, variables).await?.into()))
}
