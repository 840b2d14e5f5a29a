//! One attempt to tell an endpoint of one event.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use time::OffsetDateTime;

use super::settings::Settings;
use crate::{
    error::{Error, Result},
    events::Event,
    http::{Answer, Client, beginning},
    id::{self, Id, WebhookDelivery, WebhookReplay},
    inbound,
    platform::Platform,
    room::Share,
    spool::Arrived,
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

/// What is sent, with its share of memory.
struct Body {
    content_type: &'static str,
    bytes: Bytes,
    memory: Share,
}

/// The event, or the mail that it tells of; or why that cannot be sent now.
async fn body(
    platform: &Platform,
    settings: &Settings,
    event: &Event,
) -> Result<Result<Body, String>> {
    if !settings.wants_mail(event) {
        let bytes = Bytes::from(serde_json::to_vec(event).map_err(Error::internal)?);
        return Ok(Ok(Body { content_type: "application/json", bytes, memory: Share::none() }));
    }
    Ok(match inbound::store::posted(platform, event.account_id, event.id).await {
        Ok(Some(Arrived { bytes, memory })) => {
            Ok(Body { content_type: "message/rfc822", bytes, memory })
        }
        Ok(None) => Err("the message is not kept any more".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

/// Makes an attempt. The body is the same each time: the log never changes.
pub(super) async fn call(
    platform: Platform,
    client: Arc<Client>,
    settings: Arc<Settings>,
    due: Due,
) -> Result<Ended> {
    let Due { event, attempts, cause } = due;
    let started_at = platform.now();
    let (request_body, answer) = match body(&platform, &settings, &event).await? {
        Ok(Body { content_type, bytes, memory }) => {
            let request_body = beginning(&bytes);
            let headers =
                settings.headers(&event.id.to_string(), started_at, (content_type, &bytes))?;
            let answer = client.post(&settings.url, headers, bytes).await;
            drop(memory);
            (request_body, answer)
        }
        Err(text) => (String::new(), Answer::failed(text)),
    };
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
