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
    id::{self, Id, WebhookDelivery},
    platform::Platform,
};

/// An event that waits for its attempt.
pub(super) struct Due {
    pub event: Event,
    /// Attempts made before.
    pub attempts: i16,
}

/// An attempt that has ended.
pub(super) struct Ended {
    pub id: Id<WebhookDelivery>,
    pub event_id: Id<id::Event>,
    pub seq: i64,
    pub event_type: String,
    /// Number of this attempt, from 1.
    pub attempt: i16,
    pub started_at: OffsetDateTime,
    pub finished_at: OffsetDateTime,
    pub request_body: String,
    pub answer: Answer,
}

/// Makes an attempt. The body is the same each time: the log never changes.
pub(super) async fn call(
    platform: Platform,
    client: Arc<Client>,
    settings: Arc<Settings>,
    due: Due,
) -> Result<Ended> {
    let Due { event, attempts } = due;
    let body = Bytes::from(serde_json::to_vec(&event).map_err(Error::internal)?);
    let request_body = beginning(&body);
    let started_at = platform.now();
    let headers = settings.headers(&event.id.to_string(), started_at.unix_timestamp(), &body)?;
    let answer = client.post(&settings.url, headers, body).await;
    observe(answer.is_success(), answer.duration);
    Ok(Ended {
        id: Id::new(started_at),
        event_id: event.id,
        seq: event.seq,
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
