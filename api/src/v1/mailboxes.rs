//! `/v1/mailboxes`: folders of mail.

use axum::Json;
use posthouse_core::{Id, id, mailboxes};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{answer::List, extract::Caller, problem::ApiResult, state::ApiState};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_mailboxes))
}

/// A mailbox with its counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mailbox {
    /// Identifier.
    #[schema(value_type = String, example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Mailbox>,
    /// Full name, `/` between levels.
    #[schema(example = "INBOX")]
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
    /// Mails without `\Seen`.
    unseen: i64,
    /// Mails neither `\Seen` nor marked for deletion.
    unread: i64,
    /// Octets of all mails.
    size_bytes: i64,
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
            unseen: mailbox.unseen,
            unread: mailbox.unread,
            size_bytes: mailbox.size_bytes,
            created_at: mailbox.created_at,
        }
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
