//! `/v1/threads`: conversations.

use axum::Json;
use posthouse_core::{
    Id, id,
    page::PageRequest,
    threads::{self, ThreadFilter},
};
use posthouse_mail::parse::EmailAddress;
use serde::{Deserialize as _, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::PageParams,
    mail_shapes::{Mail, MailAddress},
};
use crate::{
    answer::List,
    extract::{Caller, FromParams, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_threads)).routes(routes!(get_thread))
}

/// A conversation: mails that answer each other.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Thread {
    /// Identifier.
    #[schema(value_type = String, example = "thr_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Thread>,
    /// Mails in it, in all mailboxes.
    #[schema(example = 3)]
    mails: i64,
    /// Of these without `\Seen`.
    #[schema(example = 1)]
    unseen: i64,
    /// One of them is `\Flagged`.
    flagged: bool,
    /// Octets of all.
    size_bytes: i64,
    /// Where they are.
    #[schema(value_type = Vec<String>, example = json!(["mbx_01k6h3v9x8e7ktq2w5m4n1r0sa"]))]
    mailbox_ids: Vec<Id<id::Mailbox>>,
    /// Who wrote the newest 20 of them, the newest first.
    participants: Vec<MailAddress>,
    /// When the first came in.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T10:00:00.000Z")]
    first_received_at: OffsetDateTime,
    /// When the last came in.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    last_received_at: OffsetDateTime,
    /// The newest mail; in the mailbox that was asked for.
    latest: Mail,
}

impl From<threads::Thread> for Thread {
    fn from(thread: threads::Thread) -> Self {
        let participants = thread.participants.into_iter();
        Self {
            id: thread.id,
            mails: thread.mails,
            unseen: thread.unseen,
            flagged: thread.flagged,
            size_bytes: thread.size_bytes,
            mailbox_ids: thread.mailbox_ids,
            participants: participants
                .filter_map(|author| EmailAddress::deserialize(author).ok())
                .map(Into::into)
                .collect(),
            first_received_at: thread.first_received_at,
            last_received_at: thread.last_received_at,
            latest: thread.latest.into(),
        }
    }
}

/// A conversation with its newest mails.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreadDetail {
    /// The conversation.
    #[serde(flatten)]
    thread: Thread,
    /// Its newest 100 mails, newest first.
    mail: Vec<Mail>,
    /// There are older ones: `GET /v1/mail?thread_id=…` has all.
    has_more: bool,
}

impl From<threads::ThreadDetail> for ThreadDetail {
    fn from(detail: threads::ThreadDetail) -> Self {
        Self {
            thread: detail.thread.into(),
            mail: detail.mail.into_iter().map(Into::into).collect(),
            has_more: detail.has_more,
        }
    }
}

/// Which conversations are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ListRequest reads")]
struct ThreadParams {
    /// With a mail in this mailbox, `mbx_…`.
    mailbox_id: Option<String>,
    /// Only with a mail without `\Seen`, in the mailbox if one is named.
    unseen: Option<bool>,
}

struct ListRequest {
    filter: ThreadFilter,
    page: PageRequest,
}

impl FromParams for ListRequest {
    fn from_params(reader: &mut Reader) -> Self {
        let filter = ThreadFilter {
            mailbox: reader.parsed("mailbox_id", "the id of a mailbox, mbx_…"),
            unseen: reader.parsed("unseen", "true or false").unwrap_or_default(),
        };
        Self { filter, page: reader.page() }
    }
}

/// List conversations
///
/// The one with the newest mail first. A mail belongs to the conversation of the mail that it
/// answers (by References and In-Reply-To) if both have the same subject but for `Re:` and the like.
#[utoipa::path(get, path = "/threads", tag = "mail", params(ThreadParams, PageParams),
    security(("api_key" = ["mail:read"])),
    responses((status = 200, description = "A page of conversations", body = List<Thread>)))]
async fn list_threads(
    Caller(cx): Caller,
    Params(request): Params<ListRequest>,
) -> ApiResult<Json<List<Thread>>> {
    Ok(List::page(threads::list(&cx, &request.filter, &request.page).await?))
}

/// Get a conversation
///
/// With its newest mails.
#[utoipa::path(get, path = "/threads/{id}", tag = "mail", security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Conversation", example = "thr_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The conversation", body = ThreadDetail)))]
async fn get_thread(
    Caller(cx): Caller,
    PathId(thread): PathId<id::Thread>,
) -> ApiResult<Json<ThreadDetail>> {
    Ok(Json(threads::find(&cx, thread).await?.into()))
}
