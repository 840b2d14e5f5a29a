//! The event log: append-only, per account in the order of commits. Webhooks, streams and lists
//! read it with cursors; whoever changes something that users can observe writes it.

mod kinds;
mod list;
mod payloads;
pub(crate) mod store;

use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

pub use kinds::{EventKind, matches_any};
pub(crate) use list::like_patterns;
pub use list::{Filter, after, find, list, list_for_message, newest_seq};
pub use payloads::{
    DeliveryEvent, DeliveryRef, DkimRotatedEvent, DomainEvent, LimitEvent, LoginEvent,
    MailContentEvent, MailDeletedEvent, MailEnvelope, MailEvent, MailUpdatedEvent, MessageEvent,
    QuotaEvent, RejectedEvent, ReportRef, RouteRef, Routing, SkippedAction, SuppressionEvent,
    UnsubscribeEvent, WebhookEvent,
};

use crate::id::{self, Account, Id, Message};

/// Version of the payloads.
pub const API_VERSION: &str = "1";

/// An entry of the log, as webhooks and streams give it.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Identifier, unique for ever.
    pub id: Id<id::Event>,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    #[serde(with = "crate::time::millis")]
    pub timestamp: OffsetDateTime,
    /// Version of the payload's shape.
    pub api_version: &'static str,
    /// Position in the account's log, from 1, without gaps.
    pub seq: i64,
    /// Whose event it is.
    pub account_id: Id<Account>,
    /// What there is to know; depends on the type.
    pub data: Box<RawValue>,
}

/// An event that becomes true when the transaction commits.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub(crate) account: Id<Account>,
    pub(crate) id: Id<id::Event>,
    pub(crate) kind: EventKind,
    pub(crate) at: OffsetDateTime,
    pub(crate) message: Option<Id<Message>>,
    pub(crate) data: String,
}

impl NewEvent {
    /// An event of `account`; `data` is rendered now, so that it tells what is true now.
    pub fn new(
        account: Id<Account>,
        kind: EventKind,
        at: OffsetDateTime,
        data: &impl Serialize,
    ) -> Self {
        // Payloads are plain structs of ours: they always serialise.
        let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
        Self { account, id: Id::new(at), kind, at, message: None, data }
    }

    /// Octets of its payload.
    pub(crate) const fn size(&self) -> usize {
        self.data.len()
    }

    /// The same, about a message.
    #[must_use]
    pub const fn about(mut self, message: Id<Message>) -> Self {
        self.message = Some(message);
        self
    }
}
