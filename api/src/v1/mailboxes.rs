//! `/v1/mailboxes`: folders of mail.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    mailboxes::{self, MailboxPatch, NewMailbox},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{present, removable};
use crate::{
    answer::{List, New},
    extract::{Caller, Change, Create, Input, PathId},
    problem::{ApiResult, ProblemBody},
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_mailboxes, create_mailbox)).routes(routes!(
        get_mailbox,
        update_mailbox,
        delete_mailbox
    ))
}

/// A mailbox with its counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mailbox {
    /// Identifier.
    #[schema(value_type = String, example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Mailbox>,
    /// Full name, `/` between levels.
    #[schema(example = "Inbox")]
    name: String,
    /// Parent, if any.
    #[schema(value_type = Option<String>)]
    parent_id: Option<Id<id::Mailbox>>,
    /// `inbox`, `sent`, `drafts`, `archive`, `junk`, `trash`, or null.
    #[schema(example = "inbox")]
    role: Option<String>,
    /// Shown by mail programs.
    subscribed: bool,
    /// Changes when uids are given anew.
    uidvalidity: i64,
    /// The next mail's uid is at least this.
    uidnext: i64,
    /// Of the last change in it.
    modseq: i64,
    /// Mails that are not marked for deletion.
    total: i64,
    /// Mails that are marked for deletion.
    deleted: i64,
    /// Mails without `\Seen`.
    unseen: i64,
    /// Mails neither `\Seen` nor marked for deletion.
    unread: i64,
    /// Octets of all mails.
    size_bytes: i64,
    /// Keywords that mails in it have or had.
    keywords: Vec<String>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<mailboxes::Mailbox> for Mailbox {
    fn from(mailbox: mailboxes::Mailbox) -> Self {
        Self {
            id: mailbox.id,
            name: mailbox.name,
            parent_id: mailbox.parent_id,
            role: mailbox.role,
            subscribed: mailbox.subscribed,
            uidvalidity: mailbox.uidvalidity,
            uidnext: mailbox.uidnext,
            modseq: mailbox.modseq,
            total: mailbox.total,
            deleted: mailbox.deleted,
            unseen: mailbox.unseen,
            unread: mailbox.unread,
            size_bytes: mailbox.size_bytes,
            keywords: mailbox.keywords,
            created_at: mailbox.created_at,
        }
    }
}

/// A mailbox to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMailbox, example = json!({"name": "Orders/2026"}))]
pub(crate) struct NewMailboxBody {
    /// Full name with `/` between levels; mailboxes above it are made where they lack. At most 500
    /// octets and 20 levels, no control characters, no `#` at the beginning; stored in NFC.
    name: String,
    /// `sent`, `drafts`, `archive`, `junk` or `trash`; the mailbox that has it loses it.
    role: Option<String>,
    /// Shown by mail programs; true by default.
    subscribed: Option<bool>,
}

impl From<NewMailboxBody> for NewMailbox {
    fn from(body: NewMailboxBody) -> Self {
        let subscribed = body.subscribed.unwrap_or(true);
        Self { name: body.name, role: body.role, subscribed }
    }
}

impl Input for NewMailboxBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MailWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        mailboxes::create_faults(&self.into())
    }
}

/// Changes of a mailbox (RFC 7396): absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailboxPatch, example = json!({"name": "Archive/Orders"}))]
pub(crate) struct MailboxPatchBody {
    /// Full name. Mailboxes above it are made where they lack, and those below go with it.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// `sent`, `drafts`, `archive`, `junk` or `trash`, or null; the mailbox that has it loses it.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    role: Option<Option<String>>,
    /// Shown by mail programs.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    subscribed: Option<bool>,
}

impl From<MailboxPatchBody> for MailboxPatch {
    fn from(body: MailboxPatchBody) -> Self {
        Self { name: body.name, role: body.role, subscribed: body.subscribed }
    }
}

impl Input for MailboxPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MailWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        mailboxes::update_faults(&self.into())
    }
}

/// List mailboxes
///
/// All mailboxes of the account with their counts, by name.
#[utoipa::path(get, path = "/mailboxes", tag = "mail", security(("api_key" = ["mail:read"])),
    responses((status = 200, description = "All mailboxes", body = List<Mailbox>)))]
async fn list_mailboxes(Caller(cx): Caller) -> ApiResult<Json<List<Mailbox>>> {
    Ok(List::whole(mailboxes::list(&cx).await?))
}

/// Create a mailbox
///
/// Mailboxes above it are made where they lack. An account has at most 2000.
#[utoipa::path(post, path = "/mailboxes", tag = "mail", request_body = NewMailboxBody,
    security(("api_key" = ["mail:write"])),
    responses((status = 201, description = "The mailbox", body = Mailbox,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_mailbox(Create { cx, body }: Create<NewMailboxBody>) -> ApiResult<New<Mailbox>> {
    let created = mailboxes::create(&cx, &body.into()).await?;
    Ok(New::created(created, "/v1/mailboxes", |mailbox| (mailbox.id.to_string(), mailbox.into())))
}

/// Get a mailbox
///
/// With its counts.
#[utoipa::path(get, path = "/mailboxes/{id}", tag = "mail",
    security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Mailbox", example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The mailbox", body = Mailbox)))]
async fn get_mailbox(
    Caller(cx): Caller,
    PathId(mailbox): PathId<id::Mailbox>,
) -> ApiResult<Json<Mailbox>> {
    Ok(Json(mailboxes::find(&cx, mailbox).await?.into()))
}

/// Change a mailbox
///
/// A JSON merge patch: absent fields stay as they are. The Inbox keeps its name: when it is
/// renamed, a mailbox of the new name is made, gets all its mail, and is the answer.
#[utoipa::path(patch, path = "/mailboxes/{id}", tag = "mail", request_body = MailboxPatchBody,
    security(("api_key" = ["mail:write"])),
    params(("id" = String, Path, description = "Mailbox", example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The mailbox as it is now", body = Mailbox)))]
async fn update_mailbox(
    Change { cx, id, patch }: Change<id::Mailbox, MailboxPatchBody>,
) -> ApiResult<Json<Mailbox>> {
    Ok(Json(mailboxes::update(&cx, id, &patch.into()).await?.into()))
}

/// Delete a mailbox
///
/// With all its mail, for good. Refused for the Inbox, and with `in_use` while there are mailboxes
/// below. Much mail is deleted in steps: when that is broken off, the mailbox is still there with
/// what is left, and the request can be repeated.
#[utoipa::path(delete, path = "/mailboxes/{id}", tag = "mail",
    security(("api_key" = ["mail:write"])),
    params(("id" = String, Path, description = "Mailbox", example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone"),
        (status = 422, description = "It is the Inbox", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn delete_mailbox(
    Caller(cx): Caller,
    PathId(mailbox): PathId<id::Mailbox>,
) -> ApiResult<StatusCode> {
    mailboxes::delete(&cx, mailbox).await?;
    Ok(StatusCode::NO_CONTENT)
}
