//! `/v1/mail/changes`, `/v1/mail/stream` and `/v1/mail/wait`: what happens to mail.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::State,
    http::header,
    response::{
        IntoResponse as _, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use posthouse_core::{
    Cx, FieldError, Id, Scope, Wake, id,
    id::Kind,
    mails::{self, MailFilter},
    page::{MAX_LIMIT, PageRequest},
};
use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::PageParams,
    mail::{MailParams, filter},
    mail_shapes::Mail,
    stream::{Admission, Door, LastEventId, POLL, X_ACCEL},
};
use crate::{
    extract::{Caller, FromParams, Params, Reader},
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// Longest wait of one request.
const MAX_WAIT: u64 = 60;
/// Wait when the caller does not say.
const DEFAULT_WAIT: u64 = 10;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_mail_changes)).routes(routes!(stream_mail_changes))
}

pub(crate) fn patient_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(wait_for_mail))
}

/// Ids of what has changed, by how. What is told twice is meant once: something created that you
/// know has changed, something updated or destroyed that you do not know is new or nothing to you.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedIds {
    /// New since then.
    #[schema(example = json!(["mail_01k6h3v9x8e7ktq2w5m4n1r0sa"]))]
    created: Vec<String>,
    /// There before, and other now.
    #[schema(example = json!([]))]
    updated: Vec<String>,
    /// Gone.
    #[schema(example = json!([]))]
    destroyed: Vec<String>,
}

impl<K: Kind> From<mails::Changed<K>> for ChangedIds {
    fn from(changed: mails::Changed<K>) -> Self {
        let texts = |ids: Vec<Id<K>>| ids.iter().map(ToString::to_string).collect();
        Self {
            created: texts(changed.created),
            updated: texts(changed.updated),
            destroyed: texts(changed.destroyed),
        }
    }
}

/// What has changed in the mail of the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailChanges {
    /// The modseq that this begins after.
    since: i64,
    /// What to give as `since` next time, once `has_more` is false.
    modseq: i64,
    /// Mails; a mail that was moved is updated.
    mail: ChangedIds,
    /// Mailboxes; one whose mail has changed is updated.
    mailboxes: ChangedIds,
    /// There are more: ask with the same `since` and this `cursor`.
    has_more: bool,
    /// The next request's `cursor`.
    next_cursor: Option<String>,
}

impl From<mails::Changes> for MailChanges {
    fn from(changes: mails::Changes) -> Self {
        Self {
            since: changes.since,
            modseq: changes.modseq,
            mail: changes.mail.into(),
            mailboxes: changes.mailboxes.into(),
            has_more: changes.next_cursor.is_some(),
            next_cursor: changes.next_cursor,
        }
    }
}

/// Since when.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ChangesRequest reads")]
struct SinceParams {
    /// The `modseq` of an earlier answer; 0 for everything that is there.
    #[param(minimum = 0)]
    since: i64,
}

struct ChangesRequest {
    since: Option<i64>,
    page: PageRequest,
}

impl FromParams for ChangesRequest {
    fn from_params(reader: &mut Reader) -> Self {
        Self { since: since(reader), page: reader.page() }
    }
}

fn since(reader: &mut Reader) -> Option<i64> {
    reader.text("since").map(|text| {
        text.parse().ok().filter(|since| *since >= 0).unwrap_or_else(|| {
            reader.fault("since", "invalid_value", "expected a modseq, a number from 0");
            0
        })
    })
}

/// List changes of mail
///
/// Ids of mails and mailboxes that were created, changed or deleted since a modseq, for clients
/// that keep a copy. Go on with `cursor` and the same `since` while `has_more` is true; then the
/// `modseq` of the last page is the next `since`. Nothing is ever missed, whatever happens
/// meanwhile. Deletions are known for a year: for an older `since`, or one of the future, the
/// answer is 410 `since_too_old`; forget everything then and begin with 0.
#[utoipa::path(get, path = "/mail/changes", tag = "mail", params(SinceParams, PageParams),
    security(("api_key" = ["mail:read"])),
    responses((status = 200, description = "What has changed", body = MailChanges)))]
async fn list_mail_changes(
    Caller(cx): Caller,
    Params(request): Params<ChangesRequest>,
) -> ApiResult<Json<MailChanges>> {
    // Strangers learn nothing of what is wrong.
    cx.require(Scope::MailRead)?;
    let since = request.since.ok_or_else(|| {
        let detail = "say since which modseq; 0 for everything";
        Problem::invalid(vec![FieldError::new("/since", "missing_parameter", detail)])
    })?;
    Ok(Json(mails::changes(&cx, since, &request.page).await?.into()))
}

/// From where.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what StreamRequest reads")]
struct StreamQuery {
    /// The `modseq` to begin after; by default only new changes come.
    #[param(minimum = 0)]
    since: Option<i64>,
}

struct StreamRequest {
    since: Option<i64>,
}

impl FromParams for StreamRequest {
    fn from_params(reader: &mut Reader) -> Self {
        Self { since: since(reader) }
    }
}

/// Stream changes of mail
///
/// Server-Sent Events of the type `changes`, each with the `data` of an answer of
/// `GET /v1/mail/changes`. The `id` is the modseq: after a break, `Last-Event-ID` (or `since`)
/// resumes without gaps. A comment comes every 15 seconds when there is nothing to tell.
#[utoipa::path(get, path = "/mail/stream", tag = "mail",
    params(StreamQuery,
        ("Last-Event-ID" = Option<i64>, Header, description = "Resume after this modseq")),
    security(("api_key" = ["mail:read"])),
    responses((status = 200, description = "Changes without end", body = MailChanges,
        content_type = "text/event-stream")))]
async fn stream_mail_changes(
    State(state): State<ApiState>,
    Caller(cx): Caller,
    door: Door,
    Params(request): Params<StreamRequest>,
    LastEventId(last): LastEventId,
) -> ApiResult<Response> {
    cx.require(Scope::MailRead)?;
    let receiver = state.platform.wake().subscribe();
    let since = match last.or(request.since) {
        Some(since) => since,
        None => mails::newest_modseq(&cx).await?,
    };
    let heartbeat = KeepAlive::new().interval(state.limits.heartbeat).text("still here");
    let admission = Admission::new(state.clone(), &cx, door, Scope::MailRead);
    let mut feed = Feed { state, cx, admission, since, cursor: None, receiver, next: None };
    // A `since` that is too old is a problem, not a stream.
    feed.next = feed.look().await?;
    let id = since.to_string();
    let greeting = SseEvent::default().comment("changes follow").retry(POLL).id(id);
    let changes: stream::Once<_> = stream::once(async { Ok::<_, Infallible>(greeting) });
    let answer = Sse::new(changes.chain(feed.events())).keep_alive(heartbeat);
    Ok(([(header::CACHE_CONTROL, "no-store"), (X_ACCEL, "no")], answer).into_response())
}

/// A reader of changes with a cursor: a wake-up only makes it look sooner.
struct Feed {
    state: ApiState,
    cx: Cx,
    admission: Admission,
    since: i64,
    /// There is more since `since`.
    cursor: Option<String>,
    receiver: broadcast::Receiver<Id<id::Account>>,
    /// What was found, and is to be told.
    next: Option<mails::Changes>,
}

impl Feed {
    fn events(self) -> impl Stream<Item = Result<SseEvent, Infallible>> {
        stream::unfold(self, |mut feed| async move {
            let event = feed.wait().await?;
            Some((Ok(event), feed))
        })
    }

    /// The next event; none ends the stream, and the client comes back.
    async fn wait(&mut self) -> Option<SseEvent> {
        let shutdown = self.state.shutdown.clone();
        loop {
            if let Some(changes) = self.next.take() {
                return render(changes);
            }
            if shutdown.is_cancelled() || !self.admission.holds().await {
                return None;
            }
            self.next = match self.look().await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(?error, "a stream of changes ends: they cannot be read");
                    return None;
                }
            };
            if self.next.is_some() {
                continue;
            }
            let changed = Wake::changed(&mut self.receiver, self.cx.account());
            tokio::select! {
                () = shutdown.cancelled() => return None,
                // Whether woken or not: look.
                _ = tokio::time::timeout(POLL, changed) => {}
            }
        }
    }

    /// What is new.
    async fn look(&mut self) -> Result<Option<mails::Changes>, posthouse_core::Error> {
        let page = PageRequest { limit: Some(MAX_LIMIT), cursor: self.cursor.take() };
        let is_first = page.cursor.is_none();
        let found = mails::changes(&self.cx, self.since, &page).await?;
        self.cursor.clone_from(&found.next_cursor);
        if found.next_cursor.is_none() {
            self.since = found.modseq;
        }
        let is_empty = is_first && found.mail.is_empty() && found.mailboxes.is_empty();
        Ok((!is_empty).then_some(found))
    }
}

/// Only the last page has an id: whoever breaks off before gets all of them again.
fn render(changes: mails::Changes) -> Option<SseEvent> {
    let mut event = SseEvent::default().event("changes");
    if changes.next_cursor.is_none() {
        event = event.id(changes.modseq.to_string());
    }
    event.json_data(MailChanges::from(changes)).ok()
}

/// How long to wait.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what WaitRequest reads")]
struct WaitParams {
    /// At most this long, 0 to 60; 10 by default.
    #[param(maximum = 60)]
    timeout_seconds: Option<u64>,
}

struct WaitRequest {
    filter: MailFilter,
    timeout: Duration,
}

impl FromParams for WaitRequest {
    fn from_params(reader: &mut Reader) -> Self {
        let filter = filter(reader);
        let seconds = reader.parsed("timeout_seconds", "a number from 0 to 60");
        if seconds.is_some_and(|seconds| seconds > MAX_WAIT) {
            reader.fault("timeout_seconds", "out_of_range", "expected a number from 0 to 60");
        }
        Self { filter, timeout: Duration::from_secs(seconds.unwrap_or(DEFAULT_WAIT)) }
    }
}

/// Wait for mail
///
/// The newest mail that fits, at once if there is one, else as soon as it comes: for tests of
/// applications that send mail. When the time is over without one, the answer is 404 with the code
/// `not_found`.
#[utoipa::path(get, path = "/v1/mail/wait", tag = "mail", params(MailParams, WaitParams),
    security(("api_key" = ["mail:read"])),
    responses((status = 200, description = "The mail", body = Mail)))]
async fn wait_for_mail(
    Caller(cx): Caller,
    Params(request): Params<WaitRequest>,
) -> ApiResult<Json<Mail>> {
    let found = mails::wait(&cx, &request.filter, request.timeout).await?;
    let found = found.ok_or_else(|| Problem::not_found("mail yet"))?;
    Ok(Json(found.into()))
}
