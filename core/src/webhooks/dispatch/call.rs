//! One attempt to tell an endpoint of one event.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use time::OffsetDateTime;

use super::{
    super::client::{Answer, Client, beginning},
    settings::Settings,
};
use crate::{
    error::{Error, Result},
    events::Event,
    id::{self, Id, WebhookDelivery, WebhookReplay},
    platform::Platform,
};

/// Why an event is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It is new.
    New,
    /// It was not taken before.
    Retry,
    /// It is part of this replay.
    Replay(Id<WebhookReplay>),
}

/// An event that waits for its attempt.
pub(super) struct Due {
    pub event: Event,
    /// Attempts made before.
    pub attempts: i16,
    pub cause: Cause,
}

/// An attempt that has ended.
pub(super) struct Ended {
    pub id: Id<WebhookDelivery>,
    pub event_id: Id<id::Event>,
    pub seq: i64,
    pub cause: Cause,
    pub event_type: String,
    /// Number of this attempt, from 1.
    pub attempt: i16,
    pub started_at: OffsetDateTime,
    pub finished_at: OffsetDateTime,
    pub request_body: String,
    pub answer: Answer,
}

impl Ended {
    /// Whether this event may wait for another attempt because of one that failed before.
    pub(super) fn may_have_been_tried(&self) -> bool {
        self.attempt > 1 || matches!(self.cause, Cause::Replay(_))
    }
}

/// Makes an attempt. The body is the same each time: the log never changes.
pub(super) async fn call(
    platform: Platform,
    client: Arc<Client>,
    settings: Arc<Settings>,
    due: Due,
) -> Result<Ended> {
    let Due { event, attempts, cause } = due;
    let body = Bytes::from(serde_json::to_vec(&event).map_err(Error::internal)?);
    let request_body = beginning(&body);
    let started_at = platform.now();
    let headers = settings.headers(&event.id.to_string(), started_at, &body)?;
    let answer = client.post(&settings.url, headers, body).await;
    observe(answer.is_success(), answer.duration);
    Ok(Ended {
        id: Id::new(started_at),
        event_id: event.id,
        seq: event.seq,
        cause,
        event_type: event.kind,
        attempt: attempts.saturating_add(1),
        started_at,
        finished_at: platform.now(),
        request_body,
        answer,
    })
}

fn observe(succeeded: bool, duration: Duration) {
    let result = if succeeded { "succeeded" } else { "failed" };
    metrics::counter!("posthouse_webhook_attempts_total", "result" => result).increment(1);
    metrics::histogram!("posthouse_webhook_attempt_seconds").record(duration);
}
