//! `/v1/events` and `/v1/event-types`: the event log. The live stream is in [`super::stream`].

use axum::Json;
use posthouse_core::{
    Id,
    events::{self, EventKind, Filter},
    id,
    page::PageRequest,
};
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{fields::PageParams, stream};
use crate::{
    answer::List,
    extract::{Caller, FromParams, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_events))
        .routes(routes!(get_event))
        .routes(routes!(stream::stream_events))
        .routes(routes!(list_event_types))
}

/// An entry of the event log: the same in lists, streams and webhooks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "evt_01k6h3v9x8e7ktq2w5m4n1r0sa", "type": "delivery.delivered",
    "timestamp": "2026-11-21T10:00:00.000Z", "api_version": "1", "seq": 17,
    "account_id": "acc_01k6h3v9x8e7ktq2w5m4n1r0sa",
    "data": {"message_id": "msg_01k6h3v9x8e7ktq2w5m4n1r000", "recipient": "bob@example.net"},
}))]
pub(crate) struct Event {
    /// Identifier, unique for ever.
    #[schema(value_type = String)]
    id: Id<id::Event>,
    /// What happened; see `GET /v1/event-types`.
    r#type: String,
    /// When it happened.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: OffsetDateTime,
    /// Version of the payload's shape.
    #[schema(value_type = String)]
    api_version: &'static str,
    /// Position in the account's log, from 1, without gaps.
    seq: i64,
    /// Whose event it is.
    #[schema(value_type = String)]
    account_id: Id<id::Account>,
    /// What there is to know; depends on the type.
    #[schema(value_type = Object)]
    data: Box<RawValue>,
}

impl From<events::Event> for Event {
    fn from(event: events::Event) -> Self {
        Self {
            id: event.id,
            r#type: event.kind,
            timestamp: event.timestamp,
            api_version: event.api_version,
            seq: event.seq,
            account_id: event.account_id,
            data: event.data,
        }
    }
}

/// A type of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventType {
    /// Its name.
    #[schema(value_type = String, example = "delivery.delivered")]
    r#type: &'static str,
    /// What it means.
    #[schema(value_type = String, example = "The recipient's server took the message.")]
    description: &'static str,
}

impl From<EventKind> for EventType {
    fn from(kind: EventKind) -> Self {
        Self { r#type: kind.as_str(), description: kind.description() }
    }
}

/// Which events are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what EventParams reads")]
struct EventFilter {
    /// Types or patterns such as `delivery.*`, separated by commas; all by default.
    #[param(example = "delivery.*,mail.received")]
    types: Option<String>,
}

/// Filter and page.
struct EventParams {
    filter: Filter,
    page: PageRequest,
}

impl FromParams for EventParams {
    fn from_params(reader: &mut Reader) -> Self {
        Self { filter: Filter { types: types(reader) }, page: reader.page() }
    }
}

/// The types that the parameter names; each has to match something.
pub(super) fn types(reader: &mut Reader) -> Vec<String> {
    let types = reader.list("types");
    for pattern in &types {
        if !is_pattern(pattern) {
            let detail = format!("no event type matches {pattern:?}; see /v1/event-types");
            reader.fault("types", "unknown_event_type", &detail);
        }
    }
    types
}

/// A name, `prefix.*` or `*`, and there are such events.
fn is_pattern(pattern: &str) -> bool {
    let stars_at_end = pattern.find('*').is_none_or(|at| at + 1 == pattern.len());
    let patterns = [pattern.to_owned()];
    stars_at_end && EventKind::ALL.iter().any(|kind| events::matches_any(&patterns, kind.as_str()))
}

/// List events
///
/// Events of the account, newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(EventFilter, PageParams),
    security(("api_key" = ["events:read"])),
    responses((status = 200, description = "A page of events", body = List<Event>)))]
async fn list_events(
    Caller(cx): Caller,
    Params(params): Params<EventParams>,
) -> ApiResult<Json<List<Event>>> {
    Ok(List::page(events::list(&cx, &params.filter, &params.page).await?))
}

/// Get an event
///
/// One entry of the log, as long as the log has it.
#[utoipa::path(get, path = "/events/{id}", tag = "events",
    security(("api_key" = ["events:read"])),
    params(("id" = String, Path, description = "Event", example = "evt_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The event", body = Event)))]
async fn get_event(Caller(cx): Caller, PathId(event): PathId<id::Event>) -> ApiResult<Json<Event>> {
    Ok(Json(events::find(&cx, event).await?.into()))
}

/// List event types
///
/// Every type of event with its meaning.
#[utoipa::path(get, path = "/event-types", tag = "events", security(("api_key" = [])),
    responses((status = 200, description = "All types", body = List<EventType>)))]
async fn list_event_types(_: Caller) -> Json<List<EventType>> {
    List::whole(EventKind::ALL.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::is_pattern;

    #[test]
    fn patterns_have_to_match_something() {
        for good in ["*", "delivery.*", "mail.received", "del*"] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in ["", "deliveries.*", "*.failed", "mail.received\n", "del*ery.*"] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }
}
