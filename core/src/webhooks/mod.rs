//! Webhooks (Standard Webhooks scheme): endpoints that are told of the events of an account.
//!
//! An endpoint is a cursor over the event log and a table of what must be tried again, not a row
//! per event.

mod calls;
mod check;
mod create;
mod dispatch;
mod manage;
mod notice;
mod replays;
mod secrets;
mod signature;
mod statistics;
mod store;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::Notify;

pub use calls::{CallFilter, deliveries, find_delivery, retry};
pub use create::{create, create_faults};
pub(crate) use dispatch::run;
pub use manage::{delete, find, list, set_enabled, test, update, update_faults};
pub use replays::{
    NewReplay, Replay, ReplayStatus, cancel_replay, find_replay, replay, replay_faults, replays,
};
pub use secrets::{FormerSecret, Rotation, Secrets, rotate, rotate_faults, secrets};
pub use signature::SignatureScheme;
pub use statistics::{Statistics, Totals, statistics};
pub(crate) use store::purge;

use crate::{
    config::Config,
    error::{Error, Result},
    http::Policy,
    id::{self, Account, Event, Id},
};

const NOT_FOUND: Error = Error::NotFound("webhook");

/// Why an endpoint is disabled whose owner disabled it.
const SWITCHED_OFF: &str = "switched off by its owner";

/// Most endpoints of one account.
pub const MAX_PER_ACCOUNT: i64 = 50;

/// The first `delivery.deferred` of a delivery is told, then one each second hour (0.8).
pub const DEFERRED_INTERVAL_SECONDS: i32 = 7200;

/// What an endpoint is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// Events, as JSON.
    #[default]
    Event,
    /// The mail itself (`message/rfc822`) that inbound routes post there, and nothing else.
    Message,
}

impl Payload {
    /// Name in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Message => "message",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Event, Self::Message].into_iter().find(|payload| payload.as_str() == text)
    }
}

/// An endpoint, without its secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Webhook {
    /// Identifier.
    pub id: Id<id::Webhook>,
    /// Whose endpoint it is.
    pub account_id: Id<Account>,
    /// Where it is.
    pub url: String,
    /// For people.
    pub description: String,
    /// Names of event types, `group.*` or `*`.
    pub event_types: Vec<String>,
    /// Header fields that go with every request.
    pub headers: BTreeMap<String, String>,
    /// Only events about mail of these domains of ours; empty: all.
    pub domains: Vec<String>,
    /// Only events about messages with one of these tags; empty: all.
    pub tags: Vec<String>,
    /// Of repeated `delivery.deferred` of one delivery, one in each such interval; 0: all.
    pub deferred_interval_seconds: i32,
    /// How calls are signed.
    pub signature_scheme: SignatureScheme,
    /// What it is sent.
    #[serde(default)]
    pub payload: Payload,
    /// It is called.
    pub enabled: bool,
    /// Why it is not called.
    pub disabled_reason: Option<String>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "crate::time::millis")]
    pub updated_at: OffsetDateTime,
}

/// A new endpoint with the secret that signs what it gets.
#[derive(Clone, Serialize, Deserialize)]
pub struct WebhookWithSecret {
    /// The endpoint.
    pub webhook: Webhook,
    /// What verifies: `whsec_` and 32 octets in base64, or `whpk_` and a public key.
    pub secret: String,
}

/// An endpoint to be made.
#[derive(Clone)]
pub struct NewWebhook {
    /// Where it is.
    pub url: String,
    /// For people.
    pub description: String,
    /// Names of event types, `group.*` or `*`.
    pub event_types: Vec<String>,
    /// Header fields that go with every request.
    pub headers: BTreeMap<String, String>,
    /// Only events about mail of these domains of ours; empty: all.
    pub domains: Vec<String>,
    /// Only events about messages with one of these tags; empty: all.
    pub tags: Vec<String>,
    /// Of repeated `delivery.deferred` of one delivery, one in each such interval; 0: all.
    pub deferred_interval_seconds: i32,
    /// How calls are signed.
    pub signature_scheme: SignatureScheme,
    /// What it is sent.
    pub payload: Payload,
    /// It is called.
    pub enabled: bool,
}

/// Changes to an endpoint; what is absent stays.
#[derive(Clone, Default)]
pub struct WebhookPatch {
    /// Where it is.
    pub url: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Names of event types, `group.*` or `*`.
    pub event_types: Option<Vec<String>>,
    /// Header fields to set or, without a value, to remove (RFC 7396).
    pub headers: Option<BTreeMap<String, Option<String>>>,
    /// Only events about mail of these domains of ours; empty: all.
    pub domains: Option<Vec<String>>,
    /// Only events about messages with one of these tags; empty: all.
    pub tags: Option<Vec<String>>,
    /// Of repeated `delivery.deferred` of one delivery, one in each such interval; 0: all.
    pub deferred_interval_seconds: Option<i32>,
    /// It is called.
    pub enabled: Option<bool>,
}

/// One call of an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// Identifier.
    pub id: Id<id::WebhookDelivery>,
    /// The endpoint.
    pub webhook_id: Id<id::Webhook>,
    /// The event.
    pub event_id: Id<Event>,
    /// Position of the event in the account's log.
    pub seq: i64,
    /// Type of the event.
    pub event_type: String,
    /// Number of the attempt, from 1.
    pub attempt: i16,
    /// When it began.
    #[serde(with = "crate::time::millis")]
    pub started_at: OffsetDateTime,
    /// How long it took.
    pub duration_ms: i32,
    /// The endpoint answered 2xx.
    pub succeeded: bool,
    /// First 4 KiB of what was sent.
    pub request_body: String,
    /// HTTP status of the answer, if there was one.
    pub response_status: Option<i16>,
    /// First 4 KiB of the answer.
    pub response_body: Option<String>,
    /// What went wrong when there was no answer.
    pub error: Option<String>,
    /// When the next attempt is due.
    #[serde(with = "crate::time::millis::option")]
    pub next_attempt_at: Option<OffsetDateTime>,
}

/// What operations and the dispatcher of a process share.
pub struct Webhooks {
    policy: Arc<Policy>,
    /// An endpoint was made, changed or deleted in this process.
    changed: Notify,
}

impl Webhooks {
    /// Reads which networks endpoints may be in.
    ///
    /// # Errors
    /// `InvalidInput` when one is not in CIDR notation.
    pub fn new(config: &Config) -> Result<Self> {
        let policy = Policy::new(&config.webhook_allowed_networks)?;
        Ok(Self { policy: Arc::new(policy), changed: Notify::new() })
    }
}
