//! `/v1/events/stream`: the event log as it grows, by Server-Sent Events.
//!
//! A reader of the log with a cursor, like any other: a wake-up only makes it look sooner.

use std::{collections::VecDeque, convert::Infallible, net::IpAddr, time::Duration};

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, header, request::Parts},
    response::{
        IntoResponse, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use posthouse_core::{Credential, Cx, FieldError, Id, Scope, Wake, events, id};
use tokio::{sync::broadcast, time::Instant};
use utoipa::IntoParams;

use super::events::{Event, types};
use crate::{
    extract::{Caller, FromParams, Params, Reader, authenticate, peer},
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// Wake-ups may be lost: look this often in any case.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// How often the credential is looked at again; a stream with a password just ends then.
const RECHECK: Duration = Duration::from_secs(10);
/// A stream that was opened with a password ends after this time, and the client resumes.
const PASSWORD_LIFE: Duration = Duration::from_mins(15);
/// Events that are fetched at a time.
const BATCH: i64 = 100;

/// Which events are wanted, and from where.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what StreamParams reads")]
pub(crate) struct StreamFilter {
    /// Types or patterns such as `delivery.*`, separated by commas; all by default.
    #[param(example = "delivery.*,mail.received")]
    types: Option<String>,
    /// Begin after the event with this `seq`; by default only new events come.
    after: Option<i64>,
}

pub(crate) struct StreamParams {
    types: Vec<String>,
    after: Option<i64>,
}

impl FromParams for StreamParams {
    fn from_params(reader: &mut Reader) -> Self {
        Self { types: types(reader), after: reader.parsed("after", "the seq of an event") }
    }
}

/// Header field `Last-Event-ID`, which browsers send when they connect again.
pub(crate) struct LastEventId(pub Option<i64>);

impl FromRequestParts<ApiState> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> ApiResult<Self> {
        let Some(value) = parts.headers.get("last-event-id") else {
            return Ok(Self(None));
        };
        let seq = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        let fault = || {
            let detail = "Last-Event-ID is the id of an event of this stream";
            Problem::invalid(vec![FieldError::new("", "invalid_last_event_id", detail)])
        };
        seq.ok_or_else(fault).map(|seq| Self(Some(seq)))
    }
}

/// How the caller got in, to see later whether that still holds.
pub(crate) struct Door {
    headers: HeaderMap,
    remote: Option<IpAddr>,
}

impl FromRequestParts<ApiState> for Door {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> ApiResult<Self> {
        let mut headers = HeaderMap::new();
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        Ok(Self { headers, remote: peer(parts) })
    }
}

/// Stream events
///
/// Server-Sent Events: `id` is the `seq`, `event` the type, `data` the event as JSON. After a
/// break, `Last-Event-ID` (or `after`) resumes without gaps. A comment comes every 15 seconds
/// when there is nothing to tell.
#[utoipa::path(get, path = "/events/stream", tag = "events",
    params(StreamFilter,
        ("Last-Event-ID" = Option<i64>, Header, description = "Resume after this event")),
    security(("api_key" = ["events:read"])),
    responses((status = 200, description = "Events without end", body = Event,
        content_type = "text/event-stream")))]
pub(crate) async fn stream_events(
    State(state): State<ApiState>,
    Caller(cx): Caller,
    door: Door,
    Params(params): Params<StreamParams>,
    LastEventId(last): LastEventId,
) -> ApiResult<Response> {
    cx.require(Scope::EventsRead)?;
    let receiver = state.platform.wake().subscribe();
    let seq = match last.or(params.after) {
        Some(seq) => seq,
        None => events::newest_seq(&state.platform, cx.account()).await?,
    };
    let heartbeat = KeepAlive::new().interval(state.limits.heartbeat).text("still here");
    let admission = Admission::new(state.clone(), &cx, door, Scope::EventsRead);
    let ready = VecDeque::new();
    let reader = LogReader { state, cx, admission, types: params.types, seq, ready, receiver };
    let answer = Sse::new(greeted(reader)).keep_alive(heartbeat);
    Ok(([(header::CACHE_CONTROL, "no-store"), (X_ACCEL, "no")], answer).into_response())
}

/// Keeps reverse proxies from holding events back.
pub(super) const X_ACCEL: header::HeaderName = header::HeaderName::from_static("x-accel-buffering");

type Item = Result<SseEvent, Infallible>;

/// A first line, so that clients see the stream open and can resume before any event has come,
/// then the events.
fn greeted(reader: LogReader) -> impl Stream<Item = Item> {
    let seq = reader.seq.to_string();
    let greeting = SseEvent::default().comment("events follow").retry(POLL).id(seq);
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    futures_util::StreamExt::chain(stream::once(async { Ok(greeting) }), events)
}

struct LogReader {
    state: ApiState,
    cx: Cx,
    admission: Admission,
    types: Vec<String>,
    seq: i64,
    ready: VecDeque<events::Event>,
    receiver: broadcast::Receiver<Id<id::Account>>,
}

impl LogReader {
    /// The next event; none ends the stream, and the client comes back.
    async fn next(&mut self) -> Option<SseEvent> {
        let shutdown = self.state.shutdown.clone();
        loop {
            if let Some(event) = self.ready.pop_front() {
                return render(event);
            }
            if shutdown.is_cancelled() || !self.admission.holds().await {
                return None;
            }
            if self.look().await? {
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

    /// Fetches what is new; says whether there was anything, wanted or not.
    async fn look(&mut self) -> Option<bool> {
        let account = self.cx.account();
        let new = match events::after(&self.state.platform, account, self.seq, BATCH).await {
            Ok(new) => new,
            Err(error) => {
                tracing::warn!(%error, "an event stream ends: the log cannot be read");
                return None;
            }
        };
        let Some(last) = new.last() else {
            return Some(false);
        };
        self.seq = last.seq;
        let wanted = |event: &events::Event| {
            self.types.is_empty() || events::matches_any(&self.types, &event.kind)
        };
        self.ready.extend(new.into_iter().filter(wanted));
        Some(true)
    }
}

/// The right to read a stream, as long as the credential holds.
pub(super) struct Admission {
    state: ApiState,
    door: Door,
    scope: Scope,
    recheck_at: Instant,
    /// For a password, which is not looked at again.
    ends_at: Option<Instant>,
}

impl Admission {
    /// The right of a caller who was let in just now.
    pub(super) fn new(state: ApiState, cx: &Cx, door: Door, scope: Scope) -> Self {
        let now = Instant::now();
        let is_password =
            matches!(cx.actor().credential, Credential::Password | Credential::AppPassword(_));
        let ends_at = is_password.then_some(now + PASSWORD_LIFE);
        Self { state, door, scope, recheck_at: now + RECHECK, ends_at }
    }

    /// Whether the credential still holds.
    pub(super) async fn holds(&mut self) -> bool {
        let now = Instant::now();
        if let Some(ends_at) = self.ends_at {
            return now < ends_at;
        }
        if now < self.recheck_at {
            return true;
        }
        self.recheck_at = now + RECHECK;
        let actor = authenticate(&self.state.platform, &self.door.headers, self.door.remote).await;
        actor.is_ok_and(|actor| actor.scopes.has(self.scope))
    }
}

fn render(event: events::Event) -> Option<SseEvent> {
    let (seq, kind) = (event.seq.to_string(), event.kind.clone());
    let event = SseEvent::default().id(seq).event(kind).json_data(Event::from(event));
    event.ok()
}
